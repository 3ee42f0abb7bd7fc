package panamoe.blocks;

/**
 * Exponent e of the scale 2^(e - 127) (1), then 16 bytes with floats of four bits (E2M1): byte j
 * holds element j in its low and j + 16 in its high half.
 */
public final class MXFP4 extends BlockFormat {
  private static final int BIAS = 127;

  public MXFP4() {
    super("MXFP4", 39, SMALL, 17, SMALL);
  }

  /** The scale takes 16 bits. */
  @Override
  public int packedBytes() {
    return bytes() + 1;
  }

  @Override
  int[] exponents() {
    return new int[1];
  }

  /** From 252 on 6 times the scale may be infinite. */
  @Override
  int fullExponent() {
    return 0xfc;
  }

  /** Half of the scale, because codes are twice the values; subnormal for the exponents 0 and 1. */
  @Override
  float scale(byte[] block, int part) {
    int exponent = block[0] & 255;
    return Float.intBitsToFloat(exponent < 2 ? 1 << 21 + exponent : exponent - 1 << 23);
  }

  @Override
  void codes(byte[] block, int[] codes) {
    pairs(block, 1, codes, 0);
    for (int i = 0; i < SMALL; i++) {
      codes[i] = twiceE2m1(codes[i]);
    }
  }

  /** The power of two with the least error; the largest is the first that holds every number. */
  @Override
  void search(BlockSearch numbers, byte[] block) {
    double most = 0;
    for (double value : numbers.x) {
      most = Math.max(most, Math.abs(value));
    }
    int last = most == 0 ? 0 : Math.clamp(Math.getExponent(most / 6) + 1 + BIAS, 0, 254);
    double bestError = Double.POSITIVE_INFINITY;
    for (int exponent = last; exponent >= Math.max(0, last - 2); exponent--) {
      double scale = Math.scalb(1.0, exponent - BIAS);
      double error = 0;
      int[] found = new int[SMALL];
      for (int i = 0; i < SMALL; i++) {
        double magnitude = Math.abs(numbers.x[i]) / scale;
        int code = 0;
        while (code < 7 && magnitude > (twiceE2m1(code) + twiceE2m1(code + 1)) / 4.0) {
          code++;
        }
        double difference = (magnitude - twiceE2m1(code) / 2.0) * scale;
        error += numbers.w[i] * difference * difference;
        found[i] = numbers.x[i] < 0 ? code + 8 : code;
      }
      if (error < bestError) {
        bestError = error;
        block[0] = (byte) exponent;
        System.arraycopy(found, 0, numbers.codes, 0, SMALL);
      }
    }
    putPairs(numbers.codes, 0, block, 1);
  }
}
