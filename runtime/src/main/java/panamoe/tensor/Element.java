package panamoe.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** One element in the host's memory, as a float. */
final class Element {
  private Element() {}

  /** Element {@code index}; rounded if it is FLOAT64 or INT32. */
  static float get(DType dtype, MemorySegment memory, long index) {
    return switch (dtype) {
      case FLOAT32 -> memory.getAtIndex(ValueLayout.JAVA_FLOAT, index);
      case BFLOAT16 -> BFloat16.toFloat(memory.getAtIndex(ValueLayout.JAVA_SHORT, index));
      case INT32 -> memory.getAtIndex(ValueLayout.JAVA_INT, index);
      case UINT8 -> memory.get(ValueLayout.JAVA_BYTE, index) & 0xff;
      case INT8 -> memory.get(ValueLayout.JAVA_BYTE, index);
      case FLOAT64 -> (float) memory.getAtIndex(ValueLayout.JAVA_DOUBLE, index);
      default -> throw inBlocks(dtype);
    };
  }

  /** Sets element {@code index}, rounding to the dtype (bfloat16: to nearest even). */
  static void set(DType dtype, MemorySegment memory, long index, float value) {
    switch (dtype) {
      case FLOAT32 -> memory.setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
      case BFLOAT16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT, index, BFloat16.fromFloat(value));
      case INT32 -> memory.setAtIndex(ValueLayout.JAVA_INT, index, (int) value);
      case UINT8, INT8 -> memory.set(ValueLayout.JAVA_BYTE, index, (byte) value);
      case FLOAT64 -> memory.setAtIndex(ValueLayout.JAVA_DOUBLE, index, value);
      default -> throw inBlocks(dtype);
    }
  }

  private static UnsupportedOperationException inBlocks(DType dtype) {
    return new UnsupportedOperationException(
        "elements of " + dtype + " are in blocks and cannot be read or set one by one");
  }
}
