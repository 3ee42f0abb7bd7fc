package panamoe.lab.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Random weights of mean 0 and a given standard deviation: uniform numbers, or blocks of random
 * codes. A tensor depends only on the seed and its name. Used by one thread.
 *
 * @param seed of all tensors
 */
record RandomWeights(long seed) {
  /** Elements per part: a multiple of every block size. */
  private static final int PART = 1 << 22;

  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  /** FLOAT32 ones. */
  static MemorySegment ones(long... shape) {
    float[] ones = new float[(int) Tensor.count(shape)];
    Arrays.fill(ones, 1);
    return Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, ones);
  }

  /**
   * A tensor's bytes in parts, each generated on access. All parts share one buffer.
   *
   * @param dtype FLOAT32, BFLOAT16, Q8_0, Q4_0 or Q4_K
   */
  List<MemorySegment> parts(String name, DType dtype, double deviation, long... shape) {
    long count = Tensor.count(shape);
    MemorySegment memory = Arena.ofAuto().allocate(dtype.bytes(Math.min(PART, count)) + 8, 8);
    return new AbstractList<>() {
      @Override
      public MemorySegment get(int index) {
        long elements = Math.min(PART, count - (long) index * PART);
        long drawn = seed ^ index ^ (long) name.hashCode() << 32;
        fill(dtype, deviation, memory, elements, new SplittableRandom(drawn));
        return memory.asSlice(0, dtype.bytes(elements));
      }

      @Override
      public int size() {
        return Math.toIntExact(Math.ceilDiv(count, PART));
      }
    };
  }

  private static void fill(
      DType dtype, double deviation, MemorySegment to, long elements, SplittableRandom random) {
    if (dtype == DType.FLOAT32) {
      for (long i = 0; i < elements; i++) {
        double even = Math.sqrt(12) * (random.nextDouble() - 0.5);
        to.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) (deviation * even));
      }
      return;
    }
    for (long at = 0; at < dtype.bytes(elements); at += Long.BYTES) {
      to.set(ValueLayout.JAVA_LONG, at, random.nextLong());
    }
    switch (dtype) {
      case BFLOAT16 -> evenNumbers(deviation, to, elements);
      case Q8_0 -> blocksOf8Bits(deviation, to, elements);
      case Q4_0 -> blocksOf4Bits(deviation, to, elements);
      case Q4_K -> superBlocksOf4Bits(deviation, to, elements);
      default -> throw new IllegalArgumentException("no random weights in " + dtype);
    }
  }

  /** Uniform from 16 random bits in [-1, 1], whose deviation is sqrt(1/3). */
  private static void evenNumbers(double deviation, MemorySegment to, long elements) {
    float scale = (float) (deviation * Math.sqrt(3) / (1 << 15));
    for (long i = 0; i < elements; i++) {
      float value = scale * to.get(SHORT, 2 * i);
      to.set(SHORT, 2 * i, BFloat16.fromFloat(value));
    }
  }

  /** Codes from -127 to 127, like those of rounding; their deviation is 73.5. */
  private static void blocksOf8Bits(double deviation, MemorySegment to, long elements) {
    short scale = Float.floatToFloat16((float) (deviation / 73.5));
    for (long at = 0; at < DType.Q8_0.bytes(elements); at += DType.Q8_0.blockBytes()) {
      to.set(SHORT, at, scale);
      for (int i = 2; i < DType.Q8_0.blockBytes(); i++) {
        if (to.get(ValueLayout.JAVA_BYTE, at + i) == Byte.MIN_VALUE) {
          to.set(ValueLayout.JAVA_BYTE, at + i, Byte.MAX_VALUE);
        }
      }
    }
  }

  /** Codes from -8 to 7 with root mean square 4.64; scales of both signs make the mean 0. */
  private static void blocksOf4Bits(double deviation, MemorySegment to, long elements) {
    short scale = Float.floatToFloat16((float) (deviation / 4.64));
    for (long at = 0; at < DType.Q4_0.bytes(elements); at += DType.Q4_0.blockBytes()) {
      to.set(SHORT, at, (short) (scale ^ to.get(SHORT, at) & Short.MIN_VALUE));
    }
  }

  /**
   * Codes from 0 to 15 with a minimum of 7.5: deviation 4.61. The 6-bit scales of codes and minima
   * have root mean square 36.5.
   */
  private static void superBlocksOf4Bits(double deviation, MemorySegment to, long elements) {
    float scale = (float) (deviation / (4.61 * 36.5));
    short scales = Float.floatToFloat16(scale);
    short minima = Float.floatToFloat16(7.5f * scale);
    for (long at = 0; at < DType.Q4_K.bytes(elements); at += DType.Q4_K.blockBytes()) {
      to.set(SHORT, at, scales);
      to.set(SHORT, at + 2, minima);
      for (int i = 4; i < 8; i++) {
        to.set(ValueLayout.JAVA_BYTE, at + i + 4, to.get(ValueLayout.JAVA_BYTE, at + i));
        int low = to.get(ValueLayout.JAVA_BYTE, at + i + 8) & 15;
        to.set(ValueLayout.JAVA_BYTE, at + i + 8, (byte) (17 * low));
      }
    }
  }
}
