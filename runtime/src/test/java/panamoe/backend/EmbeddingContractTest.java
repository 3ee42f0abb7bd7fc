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

class EmbeddingContractTest {

  @EveryBackend
  void looksRowsUp(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor table = sample.floats(new float[] {1, 2, 3, 4, 5, 6}, 3, 2);
      Tensor places = sample.floats(new float[] {10, 20, 30, 40}, 2, 2);
      Tensor ids = sample.integers(new int[] {2, 0, 2});
      Tensor y = sample.unset(3, 2);
      backend.embeddingForward(ids, table, null, null, y);
      assertClose(new double[] {5, 6, 1, 2, 5, 6}, y, 0);
      backend.embeddingForward(ids, table, sample.integers(new int[] {0, 1, 1}), places, y);
      assertClose(new double[] {15, 26, 31, 42, 35, 46}, y, 0);
    }
  }

  @EveryBackend
  void gradientsMatchFiniteDifferencesAndAddUp(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor ids = sample.integers(0, 4, 9);
      Tensor positions = sample.integers(0, 3, 9);
      Tensor table = sample.normal(4, 5);
      Tensor places = sample.normal(3, 5);
      Tensor dy = sample.normal(9, 5);
      Tensor y = sample.unset(9, 5);
      Tensor dtable = sample.scope().zeros(DType.FLOAT32, 4, 5);
      Tensor dplaces = sample.scope().zeros(DType.FLOAT32, 3, 5);
      backend.embeddingBackward(ids, positions, dy, dtable, dplaces);
      assertGradient(
          table, dtable, 1e-4, () -> loss(backend, ids, table, positions, places, y, dy));
      assertGradient(
          places, dplaces, 1e-4, () -> loss(backend, ids, table, positions, places, y, dy));
      Tensor twice = sample.scope().zeros(DType.FLOAT32, 4, 5);
      backend.add(2, dtable, 0, dtable, twice);
      backend.embeddingBackward(ids, null, dy, dtable, null);
      assertClose(twice, dtable, 1e-6);
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      assertAgrees(backend, 3, 1e-6, (on, sample) -> run(on, sample, dtype));
      assertThreadInvariant(backend, 3, (on, sample) -> run(on, sample, dtype));
    }
  }

  @EveryBackend
  void refusesIdsOutsideTheTable(Backend backend) {
    try (Sample sample = new Sample(backend, 4)) {
      Tensor table = sample.normal(3, 2);
      Tensor y = sample.unset(2, 2);
      assertRefused(
          "ids[1] is 3, expected 0 to 2",
          () -> backend.embeddingForward(sample.integers(new int[] {0, 3}), table, null, null, y));
      assertRefused(
          "ids[0] is -1",
          () ->
              backend.embeddingBackward(sample.integers(new int[] {-1, 0}), null, y, table, null));
      assertRefused(
          "given together",
          () -> backend.embeddingForward(sample.integers(new int[] {0, 1}), table, null, table, y));
    }
  }

  /** A tied head's operand. Blocks: {@link BlockGemmContractTest}. */
  @EveryBackend
  void looksRowsUpInAPackedTable(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      try (Sample sample = new Sample(backend, 5)) {
        Tensor table = sample.normal(dtype, 70, 37);
        Tensor ids = sample.integers(0, 70, 33);
        long bytes = backend.packedBytes(dtype, 70, 37);
        Tensor packed = sample.scope().allocatePacked(dtype, bytes, 70, 37);
        backend.pack(table, packed);
        Tensor y = sample.unset(dtype, 33, 37);
        Tensor expected = sample.unset(dtype, 33, 37);
        backend.embeddingForward(ids, packed, null, null, y);
        backend.embeddingForward(ids, table, null, null, expected);
        assertSameBits(expected, y);
      }
    }
  }

  private static double loss(
      Backend backend,
      Tensor ids,
      Tensor table,
      Tensor positions,
      Tensor places,
      Tensor y,
      Tensor dy) {
    backend.embeddingForward(ids, table, positions, places, y);
    return dot(y, dy);
  }

  private static List<Tensor> run(Backend on, Sample sample, DType dtype) {
    Tensor ids = sample.integers(0, 19, 203);
    Tensor positions = sample.integers(0, 8, 203);
    Tensor dy = sample.normal(dtype, 203, 67);
    Tensor y = sample.unset(dtype, 203, 67);
    Tensor dtable = sample.normal(19, 67);
    Tensor dplaces = sample.normal(8, 67);
    on.embeddingForward(
        ids, sample.normal(dtype, 19, 67), positions, sample.normal(dtype, 8, 67), y);
    on.embeddingBackward(ids, positions, dy, dtable, dplaces);
    return List.of(y, dtable, dplaces);
  }
}
