package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Activation;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GemmKernels;
import panamoe.harness.probe.Ceilings;
import panamoe.nn.Cost;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class KernelProfileTest {
  /** One GFLOP/s and one GB/s. */
  private static final Ceilings ONE = new Ceilings(1, 1, 1.0, 1, 1, null);

  /** Attention over 2 sequences of 8 tokens, with 3 heads of 16. */
  private record Attended(
      Backend backend, AttentionSettings settings, AttentionInputs inputs, Tensor y)
      implements Workload {
    @Override
    public void run(int call) {
      backend.attentionForward(settings, inputs, y, null);
    }

    @Override
    public Cost cost() {
      return Cost.NONE;
    }

    @Override
    public void close() {}
  }

  /** Calls a product once and an activation twice. */
  private record Products(Backend backend, Tensor x, Tensor weights, Tensor y, Tensor z)
      implements Workload {
    @Override
    public void run(int call) {
      backend.gemm(false, true, false, x, weights, y, GemmKernels.Epilogue.NONE);
      backend.activationForward(Activation.GELU, y, z);
      backend.activationForward(Activation.GELU, y, z);
    }

    @Override
    public Cost cost() {
      return Cost.NONE;
    }

    @Override
    public void close() {}
  }

  private static List<KernelProfile.Row> rows(Ceilings ceilings) throws Exception {
    return rows(ceilings, System::nanoTime);
  }

  private static List<KernelProfile.Row> rows(Ceilings ceilings, LongSupplier clock)
      throws Exception {
    try (Backend backend = Backends.open("reference", 1);
        TensorScope scope = TensorScope.confined(backend)) {
      KernelProfile profile = new KernelProfile(backend, clock);
      Workload work =
          new Products(
              profile.timed(),
              scope.zeros(DType.FLOAT32, 64, 32),
              scope.zeros(DType.FLOAT32, 128, 32),
              scope.zeros(DType.FLOAT32, 64, 128),
              scope.zeros(DType.FLOAT32, 64, 128));
      return profile.over(work, 0.01, ceilings);
    }
  }

  private static KernelProfile.Row row(List<KernelProfile.Row> rows, String kernel) {
    return rows.stream().filter(row -> row.kernel().equals(kernel)).findFirst().orElseThrow();
  }

  @Test
  void eachKernelHasItsOwnLimit() throws Exception {
    List<KernelProfile.Row> rows = rows(ONE);
    assertEquals(1, row(rows, "gemm").calls());
    assertEquals(2 * 64 * 32 * 128 / 1e6, row(rows, "gemm").limitMs(), 1e-9);
    assertEquals(2, row(rows, "activationForward").calls());
    assertEquals(2 * 2 * 64 * 128 * 4 / 1e6, row(rows, "activationForward").limitMs(), 1e-9);
  }

  /**
   * A kernel is two readings of the clock, of which one passes; two more are before and after the
   * profile's own work, and three are around the call.
   */
  @Test
  void itsOwnTimeIsNoneOfTheWorks() throws Exception {
    long[] now = {0};
    List<KernelProfile.Row> rows = rows(null, () -> now[0] += 1_000_000_000);
    assertEquals(1000, row(rows, "gemm").ms());
    assertEquals(2000, row(rows, "activationForward").ms());
    assertEquals(5000, rows.getLast().ms());
  }

  /** The limit is by pairs of a query and a key that it sees. */
  @ParameterizedTest
  @CsvSource({"FULL, 0, 64", "CAUSAL, 0, 36", "CAUSAL, 3, 21", "CAUSAL, 100, 36"})
  void attentionCountsVisibleKeys(AttentionSettings.Mask mask, int window, int pairs)
      throws Exception {
    try (Backend backend = Backends.open("reference", 1);
        TensorScope scope = TensorScope.confined(backend)) {
      KernelProfile profile = new KernelProfile(backend);
      Tensor q = scope.zeros(DType.FLOAT32, 2, 8, 3, 16);
      Workload work =
          new Attended(
              profile.timed(),
              new AttentionSettings(mask, window, 1, 0),
              new AttentionInputs(q, q, q, null),
              scope.zeros(DType.FLOAT32, 2, 8, 3, 16));
      Ceilings flops = new Ceilings(1, 1, 1.0, 1e9, 1, null); // bytes take no time
      List<KernelProfile.Row> rows = profile.over(work, 0.01, flops);
      assertEquals(2 * 2 * 2 * 3 * 16 * pairs / 1e6, row(rows, "attentionForward").limitMs(), 1e-9);
    }
  }

  @Test
  void partsMakeUpTheWhole() throws Exception {
    List<KernelProfile.Row> rows = rows(null);
    assertEquals("between kernels", rows.getLast().kernel());
    assertTrue(rows.getLast().ms() >= 0, rows.toString());
    assertEquals(1, rows.stream().mapToDouble(KernelProfile.Row::share).sum(), 1e-9);
    assertNull(rows.getFirst().limitMs());
  }
}
