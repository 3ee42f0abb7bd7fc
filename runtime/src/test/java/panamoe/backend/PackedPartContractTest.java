package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

/** {@link GemmKernels}: packing a stack in parts gives the bits of packing it whole. */
class PackedPartContractTest {
  private static final int[][] SIZES = {{150, 37}, {64, 8}, {45, 64}, {256, 33}};

  @EveryBackend
  void partsPackedOneByOneAreTheWhole(Backend backend) {
    for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
      for (int[] size : SIZES) {
        try (Sample sample = new Sample(backend, 1);
            Backend second = backend.secondStream()) {
          int rows = size[0];
          int inner = size[1];
          long bytes = backend.packedBytes(dtype, 3, rows, inner);
          Tensor weights = sample.normal(3, rows, inner);
          Tensor whole = sample.scope().allocatePacked(dtype, bytes, 3, rows, inner);
          Tensor parts = sample.scope().allocatePacked(dtype, bytes, 3, rows, inner);
          backend.pack(weights, whole);
          for (int e = 0; e < 3; e++) {
            Tensor expert = weights.rows(e, e + 1).reshape(rows, inner);
            Tensor packed = backend.packedMatrix(parts, e);
            for (int from = 0; from < rows; from += GemmKernels.PACKED_ROWS) {
              int to = Math.min(rows, from + GemmKernels.PACKED_ROWS);
              second.pack(expert.rows(from, to), backend.packedRows(packed, from, to));
            }
          }
          second.synchronize();
          backend.synchronize();
          assertEquals(
              -1, HostView.elements(whole).mismatch(HostView.elements(parts)), dtype + " " + whole);
        }
      }
    }
  }

  @EveryBackend
  void refusesPartsThatAreNotPackedAlone(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      long bytes = backend.packedBytes(DType.FLOAT32, 100, 8);
      Tensor packed = sample.scope().allocatePacked(DType.FLOAT32, bytes, 100, 8);
      int[][] wrong = {{1, 100}, {0, 63}, {64, 128}, {-64, 64}, {64, 0}};
      for (int[] rows : wrong) {
        assertThrows(
            IllegalArgumentException.class, () -> backend.packedRows(packed, rows[0], rows[1]));
      }
    }
  }
}
