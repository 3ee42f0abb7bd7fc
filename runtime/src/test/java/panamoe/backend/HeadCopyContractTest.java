package panamoe.backend;

import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

class HeadCopyContractTest {
  @EveryBackend
  void copiesColumnsAndLeavesTheOthers(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor x = sample.floats(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 2, 3);
      Tensor y = sample.floats(new float[8], 2, 2, 2);
      backend.headCopy(false, 1, 0, 1, x, y);
      assertClose(new double[] {2, 0, 5, 0, 8, 0, 11, 0}, y, 0);
      backend.headCopy(true, 2, 1, 1, x, y);
      assertClose(new double[] {2, 3, 5, 9, 8, 6, 11, 12}, y, 0);
    }
  }

  @EveryBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (int unit : new int[] {1, 8}) {
        assertAgrees(
            backend,
            7,
            0,
            (on, sample) -> {
              Tensor x = sample.normal(dtype, 5, 4, 6 * unit);
              Tensor kept = sample.normal(dtype, 5, 4, 7 * unit);
              Tensor turned = sample.normal(dtype, 4, 5, 3 * unit);
              on.headCopy(false, unit, 2 * unit, 5 * unit, x, kept);
              on.headCopy(true, 3 * unit, 0, 2 * unit, x, turned);
              return List.of(kept, turned);
            });
      }
    }
  }

  @EveryBackend
  void refusesWhatDoesNotFit(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor x = sample.normal(2, 3, 4);
      Tensor y = sample.normal(2, 3, 5);
      assertRefused("x has 4 columns", () -> backend.headCopy(false, 3, 0, 2, x, y));
      assertRefused("y has 5 columns", () -> backend.headCopy(false, 0, 4, 2, x, y));
      assertRefused("y has shape", () -> backend.headCopy(true, 0, 0, 2, x, y));
      Tensor half = sample.normal(DType.BFLOAT16, 2, 3, 5);
      assertRefused(
          "x is float32 but y is bfloat16", () -> backend.headCopy(false, 0, 0, 2, x, half));
    }
  }
}
