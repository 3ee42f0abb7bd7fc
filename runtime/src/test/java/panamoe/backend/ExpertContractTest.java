package panamoe.backend;

import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class ExpertContractTest {
  private static final double TOLERANCE = 1e-5;
  private static final List<DType> DTYPES = List.of(DType.FLOAT32, DType.BFLOAT16);

  /**
   * Each group is a dense product with its expert's weights; the rows past the last group keep
   * their values.
   */
  @EveryBackend
  void eachGroupIsADenseProduct(Backend backend) {
    for (Activation activation : Activation.BUILT_IN) {
      try (Sample sample = new Sample(backend, 1)) {
        int[] starts = {0, 3, 3, 10, 11};
        int outputs = 12 / activation.inputsPerOutput();
        Tensor x = sample.normal(13, 7);
        Tensor weights = sample.normal(4, 12, 7);
        Tensor bias = sample.normal(4, 12);
        Tensor y = sample.unset(13, outputs);
        Tensor before = sample.unset(13, 12);
        Tensor addend = sample.normal(13, 12);
        backend.expertForward(
            x,
            sample.integers(starts),
            weights,
            y,
            new GemmKernels.Epilogue(activation, bias, before, addend));
        for (int e = 0; e < 4; e++) {
          int rows = starts[e + 1] - starts[e];
          Tensor expected = sample.unset(rows, outputs);
          Tensor expectedBefore = sample.unset(rows, 12);
          backend.gemm(
              false,
              true,
              false,
              x.rows(starts[e], starts[e + 1]),
              weights.rows(e, e + 1).reshape(12, 7),
              expected,
              new GemmKernels.Epilogue(
                  activation,
                  bias.rows(e, e + 1).reshape(12),
                  expectedBefore,
                  addend.rows(starts[e], starts[e + 1])));
          assertClose(expected, y.rows(starts[e], starts[e + 1]), TOLERANCE);
          assertClose(expectedBefore, before.rows(starts[e], starts[e + 1]), TOLERANCE);
        }
        assertSameBits(sample.unset(2, outputs), y.rows(11, 13));
        assertSameBits(sample.unset(2, 12), before.rows(11, 13));
      }
    }
  }

  @EveryBackend
  void gradientsMatchFiniteDifferences(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor offsets = sample.integers(new int[] {0, 2, 2, 7});
      Tensor x = sample.normal(7, 4);
      Tensor weights = sample.normal(3, 5, 4);
      Tensor bias = sample.normal(3, 5);
      Tensor dy = sample.normal(7, 5);
      Tensor y = sample.unset(7, 5);
      Tensor dx = sample.unset(7, 4);
      Tensor dweights = sample.scope().zeros(DType.FLOAT32, 3, 5, 4);
      Tensor dbias = sample.scope().zeros(DType.FLOAT32, 3, 5);
      backend.expertBackwardInput(dy, offsets, weights, dx);
      backend.expertBackwardWeights(true, dy, x, offsets, dweights, dbias);
      for (Tensor[] pair : new Tensor[][] {{x, dx}, {weights, dweights}, {bias, dbias}}) {
        assertGradient(
            pair[0],
            pair[1],
            2e-4,
            () -> {
              backend.expertForward(
                  x,
                  offsets,
                  weights,
                  y,
                  new GemmKernels.Epilogue(Activation.IDENTITY, bias, null));
              return dot(y, dy);
            });
      }
      Tensor twice = sample.unset(3, 5, 4);
      backend.add(2, dweights, 0, dweights, twice);
      backend.expertBackwardWeights(true, dy, x, offsets, dweights, null);
      assertClose(twice, dweights, 1e-6);
      // Overwrites the gradient, also for the group without rows.
      Tensor written = sample.normal(3, 5, 4);
      backend.expertBackwardWeights(false, dy, x, offsets, written, null);
      backend.add(2, written, 0, written, twice);
      assertClose(twice, dweights, 1e-6);
    }
  }

  @EveryBackend
  void packedWeightsGiveTheSameBits(Backend backend) {
    for (DType dtype : DTYPES) {
      try (Sample sample = new Sample(backend, 3)) {
        Tensor offsets = sample.offsets(3, 40);
        Tensor x = sample.normal(dtype, 40, 37);
        Tensor weights = sample.normal(dtype, 3, 45, 37);
        Tensor packed =
            sample.scope().allocatePacked(dtype, backend.packedBytes(dtype, 3, 45, 37), 3, 45, 37);
        backend.pack(weights, packed);
        Tensor y = sample.unset(40, 45);
        Tensor fromPacked = sample.unset(40, 45);
        backend.expertForward(x, offsets, weights, y, GemmKernels.Epilogue.of(Activation.GELU));
        backend.expertForward(
            x, offsets, packed, fromPacked, GemmKernels.Epilogue.of(Activation.GELU));
        assertSameBits(y, fromPacked);
        Tensor dx = sample.unset(40, 37);
        Tensor dxFromPacked = sample.unset(40, 37);
        backend.expertBackwardInput(y, offsets, weights, dx);
        backend.expertBackwardInput(y, offsets, packed, dxFromPacked);
        assertSameBits(dx, dxFromPacked);
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (Activation activation : Activation.BUILT_IN) {
      for (DType x : DTYPES) {
        for (DType weights : DTYPES) {
          assertAgrees(
              backend,
              4,
              TOLERANCE,
              (on, sample) -> randomCase(on, sample, activation, x, weights, 61));
        }
      }
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    for (DType dtype : DTYPES) {
      assertThreadInvariant(
          backend, 5, (on, sample) -> randomCase(on, sample, Activation.SWIGLU, dtype, dtype, 509));
    }
  }

  /** A row alone in its group and buffer has the bits that it has among many. */
  @EveryBackend
  void aRowDoesNotDependOnTheRowsBesideIt(Backend backend) {
    for (DType dtype : DTYPES) {
      try (Sample sample = new Sample(backend, 6)) {
        Tensor offsets = sample.integers(new int[] {0, 17, 60});
        Tensor x = sample.normal(dtype, 60, 53);
        Tensor weights = sample.normal(dtype, 2, 41, 53);
        Tensor bias = sample.normal(2, 41);
        Tensor all = sample.unset(60, 41);
        Tensor alone = sample.unset(1, 41);
        backend.expertForward(
            x, offsets, weights, all, new GemmKernels.Epilogue(Activation.SILU, bias, null));
        for (int row : new int[] {0, 16, 17, 38, 59}) {
          Tensor own = sample.integers(row < 17 ? new int[] {0, 1, 1} : new int[] {0, 0, 1});
          backend.expertForward(
              x.rows(row, row + 1),
              own,
              weights,
              alone,
              new GemmKernels.Epilogue(Activation.SILU, bias, null));
          assertSameBits(all.rows(row, row + 1), alone);
        }
      }
    }
  }

  @EveryBackend
  void refusesOffsetsThatLeadOutside(Backend backend) {
    try (Sample sample = new Sample(backend, 7)) {
      Tensor x = sample.normal(5, 3);
      Tensor weights = sample.normal(2, 4, 3);
      Tensor y = sample.unset(5, 4);
      int[][] bad = {{0, 3, 6}, {1, 3, 5}, {0, 4, 3}};
      String[] sentences = {"past the 5 rows", "offsets[0] is 1", "less than offsets[1] = 4"};
      for (int i = 0; i < bad.length; i++) {
        Tensor offsets = sample.integers(bad[i]);
        assertRefused(
            sentences[i],
            () -> backend.expertForward(x, offsets, weights, y, GemmKernels.Epilogue.NONE));
        assertRefused(
            sentences[i],
            () -> backend.expertBackwardInput(y, offsets, weights, sample.unset(5, 3)));
        assertRefused(
            sentences[i],
            () -> backend.expertBackwardWeights(true, y, x, offsets, sample.unset(2, 4, 3), null));
      }
      assertRefused(
          "offsets has shape [4], expected [3]",
          () ->
              backend.expertForward(
                  x,
                  sample.integers(new int[] {0, 1, 2, 3}),
                  weights,
                  y,
                  GemmKernels.Epilogue.NONE));
    }
  }

  private static List<Tensor> randomCase(
      Backend on, Sample sample, Activation activation, DType dtype, DType weightType, int rows) {
    int experts = sample.between(1, 7);
    int inner = sample.between(1, 90);
    int columns = 2 * sample.between(1, 60);
    Tensor offsets = sample.offsets(experts, rows);
    Tensor x = sample.normal(dtype, rows + 1, inner);
    Tensor weights = sample.normal(weightType, experts, columns, inner);
    Tensor dy = sample.normal(dtype, rows + 1, columns);
    Tensor y = sample.unset(dtype, rows + 1, columns / activation.inputsPerOutput());
    Tensor before = sample.unset(dtype, rows + 1, columns);
    Tensor dx = sample.unset(dtype, rows + 1, inner);
    Tensor dweights = sample.normal(experts, columns, inner);
    Tensor dbias = sample.normal(experts, columns);
    on.expertForward(
        x,
        offsets,
        weights,
        y,
        new GemmKernels.Epilogue(
            activation,
            sample.normal(experts, columns),
            before,
            sample.normal(dtype, rows + 1, columns)));
    on.expertBackwardInput(dy, offsets, weights, dx);
    on.expertBackwardWeights(true, dy, x, offsets, dweights, dbias);
    return List.of(y, before, dx, dweights, dbias);
  }
}
