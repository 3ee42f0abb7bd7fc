package panamoe.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Rounds numbers to blocks so that the weighted squared error is small: it searches the scales,
 * which {@link BlockRounding} takes from the largest number. Slower, and for files that are read
 * often. The same numbers and weights give the same blocks.
 */
public final class BlockSearch {
  private static final int SMALL = 32;
  private static final int LARGE = 256;

  /** Scales of sub-blocks in Q4_K and Q5_K are 0 to 63, in Q6_K -128 to 127. */
  private static final int MOST_SCALE = 63;

  /** A sub-block's scale is tried with its neighbours, because codes are rounded after it. */
  private static final int[] NEIGHBOURS = {0, -1, 1};

  private static final double[] MXFP4 = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

  private final DType dtype;
  private final double[] x;
  private final double[] w;
  private final int[] codes;
  private final byte[] block;

  private BlockSearch(DType dtype) {
    this.dtype = dtype;
    this.x = new double[dtype.blockElements()];
    this.w = new double[dtype.blockElements()];
    this.codes = new int[dtype.blockElements()];
    this.block = new byte[dtype.blockBytes()];
  }

  /**
   * @param dtype of blocks
   * @param floats rows of float32, each of whole blocks
   * @param weights of a row's squared errors by column, above 0; null: all alike
   * @param columns of a row
   * @param blocks filled
   * @throws IllegalArgumentException if a number is NaN, infinite, or larger than scales reach
   */
  public static void round(
      DType dtype, MemorySegment floats, float[] weights, int columns, MemorySegment blocks) {
    BlockSearch search = new BlockSearch(dtype);
    int elements = dtype.blockElements();
    long count = floats.byteSize() / Float.BYTES / elements;
    for (long i = 0; i < count; i++) {
      int column = (int) (i * elements % columns);
      for (int j = 0; j < elements; j++) {
        float value = floats.getAtIndex(ValueLayout.JAVA_FLOAT, i * elements + j);
        if (!Float.isFinite(value)) {
          throw new IllegalArgumentException("a number is " + value + ", which no block holds");
        }
        search.x[j] = value;
        search.w[j] = weights == null ? 1 : weights[column + j];
      }
      search.round();
      MemorySegment.copy(
          search.block,
          0,
          blocks,
          ValueLayout.JAVA_BYTE,
          i * search.block.length,
          search.block.length);
    }
  }

  private void round() {
    Arrays.fill(block, (byte) 0);
    switch (dtype) {
      case Q8_0, Q8_64, Q8_128 -> oneScale(-127, 127);
      case Q4_0 -> oneScale(-8, 7);
      case Q5_0 -> oneScale(-16, 15);
      case MXFP4 -> mxfp4();
      case Q4_K -> withMinima(15);
      case Q5_K -> withMinima(31);
      case Q6_K -> q6K();
      default -> throw new IllegalArgumentException(dtype + " has no blocks");
    }
  }

  private void oneScale(int low, int high) {
    double scale = putFloat16(0, ScaleSearch.symmetric(x, w, 0, x.length, low, high, true));
    code(0, x.length, scale, 0, low, high);
    if (high == 127) {
      for (int i = 0; i < codes.length; i++) {
        block[2 + i] = (byte) codes[i];
      }
      return;
    }
    int bytes = dtype == DType.Q4_0 ? 2 : 6;
    for (int i = 0; i < SMALL; i++) {
      int code = codes[i] - low;
      block[bytes + i % 16] |= (byte) ((code & 15) << i / 16 * 4);
      if (dtype == DType.Q5_0) {
        block[2 + i / 8] |= (byte) (code >> 4 << i % 8);
      }
    }
  }

  /** The power of two with the least error; the largest is the first that holds every number. */
  private void mxfp4() {
    double most = 0;
    for (double value : x) {
      most = Math.max(most, Math.abs(value));
    }
    int bias = 127;
    int last = most == 0 ? 0 : Math.clamp(Math.getExponent(most / 6) + 1 + bias, 0, 254);
    double bestError = Double.POSITIVE_INFINITY;
    for (int exponent = last; exponent >= Math.max(0, last - 2); exponent--) {
      double scale = Math.scalb(1.0, exponent - bias);
      double error = 0;
      int[] found = new int[SMALL];
      for (int i = 0; i < SMALL; i++) {
        double magnitude = Math.abs(x[i]) / scale;
        int code = 0;
        while (code < 7 && magnitude > (MXFP4[code] + MXFP4[code + 1]) / 2) {
          code++;
        }
        double difference = (magnitude - MXFP4[code]) * scale;
        error += w[i] * difference * difference;
        found[i] = x[i] < 0 ? code + 8 : code;
      }
      if (error < bestError) {
        bestError = error;
        block[0] = (byte) exponent;
        System.arraycopy(found, 0, codes, 0, SMALL);
      }
    }
    for (int i = 0; i < 16; i++) {
      block[1 + i] = (byte) (codes[i] | codes[i + 16] << 4);
    }
  }

  /** Q4_K and Q5_K. */
  private void withMinima(int high) {
    int parts = LARGE / SMALL;
    ScaleSearch.Affine[] wanted = new ScaleSearch.Affine[parts];
    double mostScale = 0;
    double mostMinimum = 0;
    for (int part = 0; part < parts; part++) {
      wanted[part] = ScaleSearch.affine(x, w, part * SMALL, SMALL, high);
      mostScale = Math.max(mostScale, wanted[part].scale());
      mostMinimum = Math.max(mostMinimum, wanted[part].minimum());
    }
    double d = putFloat16(0, mostScale / MOST_SCALE);
    double dmin = putFloat16(2, mostMinimum / MOST_SCALE);
    for (int part = 0; part < parts; part++) {
      int scale = nearest(wanted[part].scale(), d, 0, MOST_SCALE);
      int minimum = nearest(wanted[part].minimum(), dmin, 0, MOST_SCALE);
      int bestScale = scale;
      int bestMinimum = minimum;
      double bestError = Double.POSITIVE_INFINITY;
      for (int more : NEIGHBOURS) {
        for (int higher : NEIGHBOURS) {
          int s = Math.clamp(scale + more, 0, MOST_SCALE);
          int m = Math.clamp(minimum + higher, 0, MOST_SCALE);
          double error = code(part * SMALL, SMALL, d * s, dmin * m, 0, high);
          if (error < bestError) {
            bestError = error;
            bestScale = s;
            bestMinimum = m;
          }
        }
      }
      code(part * SMALL, SMALL, d * bestScale, dmin * bestMinimum, 0, high);
      putScale(part, bestScale, bestMinimum);
    }
    int bytes = dtype == DType.Q4_K ? 16 : 48;
    for (int i = 0; i < LARGE; i++) {
      int part = i / SMALL;
      block[bytes + part / 2 * SMALL + i % SMALL] |= (byte) ((codes[i] & 15) << part % 2 * 4);
      if (dtype == DType.Q5_K) {
        block[16 + i % SMALL] |= (byte) (codes[i] >> 4 << part);
      }
    }
  }

  /** Six bits each: the last four parts have two of theirs in the bytes of the first four. */
  private void putScale(int part, int scale, int minimum) {
    int at = 4 + part % 4;
    if (part < 4) {
      block[at] |= (byte) scale;
      block[at + 4] |= (byte) minimum;
    } else {
      block[at + 8] |= (byte) (scale & 15 | (minimum & 15) << 4);
      block[at] |= (byte) (scale >> 4 << 6);
      block[at + 4] |= (byte) (minimum >> 4 << 6);
    }
  }

  private void q6K() {
    int size = 16;
    double[] wanted = new double[LARGE / size];
    double most = 0;
    for (int part = 0; part < wanted.length; part++) {
      wanted[part] = ScaleSearch.symmetric(x, w, part * size, size, -32, 31, false);
      most = Math.abs(wanted[part]) > Math.abs(most) ? wanted[part] : most;
    }
    double d = putFloat16(208, most / -128);
    for (int part = 0; part < wanted.length; part++) {
      int scale = nearest(wanted[part], d, -128, 127);
      int best = scale;
      double bestError = Double.POSITIVE_INFINITY;
      for (int more : NEIGHBOURS) {
        int s = Math.clamp(scale + more, -128, 127);
        double error = code(part * size, size, d * s, 0, -32, 31);
        if (error < bestError) {
          bestError = error;
          best = s;
        }
      }
      code(part * size, size, d * best, 0, -32, 31);
      block[192 + part] = (byte) best;
    }
    for (int i = 0; i < LARGE; i++) {
      int half = i / 128;
      int quarter = i % 128 / SMALL;
      int code = codes[i] + 32;
      block[64 * half + SMALL * (quarter % 2) + i % SMALL] |=
          (byte) ((code & 15) << quarter / 2 * 4);
      block[128 + SMALL * half + i % SMALL] |= (byte) (code >> 4 << 2 * quarter);
    }
  }

  /** Chooses the nearest codes, and tells their weighted squared error. */
  private double code(int from, int count, double scale, double minimum, int low, int high) {
    double inverse = scale == 0 ? 0 : 1 / scale;
    double error = 0;
    for (int i = from; i < from + count; i++) {
      double code = Math.clamp(Math.rint((x[i] + minimum) * inverse), low, high);
      double difference = x[i] - (scale * code - minimum);
      error += w[i] * difference * difference;
      codes[i] = (int) code;
    }
    return error;
  }

  private static int nearest(double value, double unit, int low, int high) {
    return unit == 0 ? 0 : (int) Math.clamp(Math.rint(value / unit), low, high);
  }

  /** Writes a scale of 16 bits and returns what is held. */
  private double putFloat16(int at, double value) {
    short bits = Float.floatToFloat16((float) value);
    float held = Float.float16ToFloat(bits);
    if (!Float.isFinite(held)) {
      throw new IllegalArgumentException(
          "numbers ask for a scale of " + value + ", which " + dtype + " does not hold");
    }
    block[at] = (byte) bits;
    block[at + 1] = (byte) (bits >> 8);
    return held;
  }
}
