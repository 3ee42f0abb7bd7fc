package panamoe.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Rounds numbers to blocks of 32 with a scale of 16 bits: {@link DType#Q8_0}, whose scale is the
 * largest magnitude / 127, and {@link DType#Q4_0}, whose scale is the element of largest magnitude
 * / -8. Each code is the nearest to its number, given the scale. The same numbers give the same
 * blocks.
 */
public final class BlockRounding {
  private static final int ELEMENTS = 32;

  private BlockRounding() {}

  /**
   * @param dtype Q8_0 or Q4_0
   * @param floats whole blocks of float32
   * @param blocks filled, a block for each 32 floats
   * @throws IllegalArgumentException if a number is NaN, infinite, or larger than scales reach
   */
  public static void round(DType dtype, MemorySegment floats, MemorySegment blocks) {
    if (dtype != DType.Q8_0 && dtype != DType.Q4_0) {
      throw new IllegalArgumentException("numbers are rounded to Q8_0 or Q4_0, not " + dtype);
    }
    float[] x = new float[ELEMENTS];
    long count = floats.byteSize() / Float.BYTES / ELEMENTS;
    for (long block = 0; block < count; block++) {
      MemorySegment.copy(
          floats, ValueLayout.JAVA_FLOAT, block * ELEMENTS * Float.BYTES, x, 0, ELEMENTS);
      long at = block * dtype.blockBytes();
      float most = most(x);
      float wanted = dtype == DType.Q8_0 ? Math.abs(most) / 127 : most / -8;
      short scale = Float.floatToFloat16(wanted);
      float held = Float.float16ToFloat(scale);
      if (!Float.isFinite(held)) {
        throw new IllegalArgumentException(
            "a number is " + most + ", which " + dtype + " does not hold");
      }
      blocks.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, scale);
      float inverse = held == 0 ? 0 : 1 / held;
      if (dtype == DType.Q8_0) {
        for (int i = 0; i < ELEMENTS; i++) {
          blocks.set(ValueLayout.JAVA_BYTE, at + 2 + i, (byte) code(x[i] * inverse, -127, 127));
        }
      } else {
        for (int i = 0; i < ELEMENTS / 2; i++) {
          int low = 8 + code(x[i] * inverse, -8, 7);
          int high = 8 + code(x[i + ELEMENTS / 2] * inverse, -8, 7);
          blocks.set(ValueLayout.JAVA_BYTE, at + 2 + i, (byte) (low | high << 4));
        }
      }
    }
  }

  /** The number of largest magnitude, the first of them; NaN if there is one. */
  private static float most(float[] x) {
    float most = 0;
    for (float value : x) {
      if (!(Math.abs(value) <= Math.abs(most))) {
        most = value;
      }
      if (Float.isNaN(most)) {
        return most;
      }
    }
    return most;
  }

  private static int code(float value, int low, int high) {
    return Math.clamp((int) Math.rint(value), low, high);
  }
}
