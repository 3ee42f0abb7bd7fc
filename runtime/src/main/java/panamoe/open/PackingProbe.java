package panamoe.open;

import java.lang.foreign.ValueLayout;
import java.util.Random;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A small packed matrix. If its bytes differ, packed weights in a file are from another backend,
 * instruction set or version.
 */
final class PackingProbe {
  private static final long ROWS = 70; // a full panel and a partial one
  private static final long COLUMNS = 512; // whole blocks in every format
  private static final int SEED = 1;

  private PackingProbe() {}

  static byte[] of(Backend backend, DType dtype) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Random random = new Random(SEED);
      Tensor matrix = scope.allocate(DType.FLOAT32, ROWS, COLUMNS);
      for (long i = 0; i < matrix.count(); i++) {
        matrix.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
      }
      Tensor source = dtype.isBlocks() ? blocks(scope, dtype, random) : matrix;
      Tensor packed =
          scope.allocatePacked(dtype, backend.packedBytes(dtype, ROWS, COLUMNS), ROWS, COLUMNS);
      packed.data().fill((byte) 0); // padding compares equal
      backend.pack(source, packed);
      backend.synchronize();
      return packed.data().toArray(ValueLayout.JAVA_BYTE);
    }
  }

  private static Tensor blocks(TensorScope scope, DType dtype, Random random) {
    Tensor blocks =
        scope.allocate(DType.UINT8, dtype.bytes(ROWS * COLUMNS)).part(0, dtype, ROWS, COLUMNS);
    for (long i = 0; i < blocks.bytes(); i++) {
      blocks.data().set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(64)); // finite scales
    }
    return blocks;
  }
}
