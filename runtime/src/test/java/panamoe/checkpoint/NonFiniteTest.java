package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.api.Test;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class NonFiniteTest {
  private static final float[] SUSPECTS = {
    Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, -Float.NaN
  };

  @Test
  void countsThemWhereverTheyAre() {
    Random random = new Random(2);
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
        for (int size = 1; size < 40; size++) {
          Tensor tensor = scope.allocate(dtype, size);
          for (int i = 0; i < size; i++) {
            tensor.setFloat(i, random.nextBoolean() ? -3e38f : 1e-40f * random.nextInt(100));
          }
          assertEquals(0, NonFinite.count(dtype, tensor.data()));
          int found = 0;
          for (int i = 0; i < size; i += 1 + random.nextInt(10)) {
            tensor.setFloat(i, SUSPECTS[random.nextInt(SUSPECTS.length)]);
            found++;
          }
          assertEquals(found, NonFinite.count(dtype, tensor.data()));
        }
      }
    }
  }
}
