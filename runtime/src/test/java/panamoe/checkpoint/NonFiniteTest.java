package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class NonFiniteTest {
  private static final float[] SUSPECTS = {
    Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, -Float.NaN
  };

  /** A non-finite scale makes all numbers of its block non-finite, or those with nonzero codes. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      mode = EnumSource.Mode.MATCH_ALL,
      names = ".*(Q|FP)\\d.*") // those in blocks
  void countsThoseOfBlocks(DType dtype) {
    Random random = new Random(3);
    int blocks = 9;
    int size = dtype.blockBytes();
    byte[] bytes = new byte[blocks * size];
    random.nextBytes(bytes);
    for (int block = 0; block < blocks; block++) {
      for (int i = 4; dtype == DType.FP8_128 && i < size; i++) {
        bytes[block * size + i] = (byte) (bytes[block * size + i] & 0x7e); // no NaN
      }
      for (int at : scales(dtype)) {
        bytes[block * size + at] = (byte) (dtype == DType.MXFP4 ? 120 : 0x3c);
      }
    }
    assertEquals(0, count(dtype, bytes));
    for (int at : scales(dtype)) {
      byte[] one = bytes.clone();
      one[4 * size + at] = (byte) (dtype == DType.MXFP4 ? 255 : 0x7e);
      long found = count(dtype, one);
      assertTrue(found > 0 && found <= dtype.blockElements(), found + " at " + at);
    }
    byte[] code = bytes.clone();
    code[4 * size + 9] = 0x7f;
    assertEquals(dtype == DType.FP8_128 ? 1 : 0, count(dtype, code), "a code");
    bytes[5 * size + scales(dtype)[0]] =
        (byte) (dtype == DType.MXFP4 ? 251 : dtype == DType.FP8_128 ? 0x79 : 0x7b);
    assertEquals(0, count(dtype, bytes), "large but finite");
  }

  /** Where the high byte of each scale is, or the exponent. */
  private static int[] scales(DType dtype) {
    return switch (dtype) {
      case Q6_K -> new int[] {209};
      case Q3_K -> new int[] {109};
      case Q2_K -> new int[] {81, 83};
      case Q4_1, Q5_1, Q4_K, Q5_K -> new int[] {1, 3};
      case FP8_128 -> new int[] {3};
      case MXFP4 -> new int[] {0};
      default -> new int[] {1};
    };
  }

  private static long count(DType dtype, byte[] bytes) {
    try (Arena arena = Arena.ofConfined()) {
      return NonFinite.count(dtype, arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes));
    }
  }

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
