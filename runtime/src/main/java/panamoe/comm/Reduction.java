package panamoe.comm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;

/**
 * Sums of arrays of equal length. Each element adds its terms in the given order, which alone
 * decides the bits. bfloat16 is added in float32 and rounded once.
 */
public final class Reduction {
  private static final int BLOCK = 2048;

  private Reduction() {}

  /**
   * @param terms one or more arrays of {@code count} elements; a target may alias a term
   * @param targets arrays that all receive the sum
   */
  public static void sum(DType dtype, long count, MemorySegment[] terms, MemorySegment... targets) {
    switch (dtype) {
      case FLOAT32 -> sumFloats(count, terms, targets);
      case BFLOAT16 -> sumBFloats(count, terms, targets);
      default ->
          throw new IllegalArgumentException(
              "only FLOAT32 and BFLOAT16 can be summed, not " + dtype);
    }
  }

  private static void sumFloats(long count, MemorySegment[] terms, MemorySegment[] targets) {
    int block = (int) Math.min(count, BLOCK);
    float[] sum = new float[block];
    float[] term = new float[block];
    for (long from = 0; from < count; from += block) {
      int length = (int) Math.min(block, count - from);
      long offset = from * Float.BYTES;
      MemorySegment.copy(terms[0], ValueLayout.JAVA_FLOAT, offset, sum, 0, length);
      for (int t = 1; t < terms.length; t++) {
        MemorySegment.copy(terms[t], ValueLayout.JAVA_FLOAT, offset, term, 0, length);
        for (int i = 0; i < length; i++) {
          sum[i] += term[i];
        }
      }
      for (MemorySegment target : targets) {
        MemorySegment.copy(sum, 0, target, ValueLayout.JAVA_FLOAT, offset, length);
      }
    }
  }

  private static void sumBFloats(long count, MemorySegment[] terms, MemorySegment[] targets) {
    int block = (int) Math.min(count, BLOCK);
    float[] sum = new float[block];
    short[] term = new short[block];
    for (long from = 0; from < count; from += block) {
      int length = (int) Math.min(block, count - from);
      long offset = from * Short.BYTES;
      MemorySegment.copy(terms[0], ValueLayout.JAVA_SHORT, offset, term, 0, length);
      for (int i = 0; i < length; i++) {
        sum[i] = BFloat16.toFloat(term[i]);
      }
      for (int t = 1; t < terms.length; t++) {
        MemorySegment.copy(terms[t], ValueLayout.JAVA_SHORT, offset, term, 0, length);
        for (int i = 0; i < length; i++) {
          sum[i] += BFloat16.toFloat(term[i]);
        }
      }
      for (int i = 0; i < length; i++) {
        term[i] = BFloat16.fromFloat(sum[i]);
      }
      for (MemorySegment target : targets) {
        MemorySegment.copy(term, 0, target, ValueLayout.JAVA_SHORT, offset, length);
      }
    }
  }
}
