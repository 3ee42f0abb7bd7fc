package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import panamoe.tensor.BFloat16;

/**
 * Decodes stored elements to float32. The types with blocks are those of ggml: 32 or 256 elements
 * share their scales; Q8_64 and Q8_128 are Q8_0 with more elements. A method's comment lists the
 * fields of a block with their bytes. The factors are multiplied and rounded in ggml's order, so
 * that the floats have its bits; recorded cases of {@code panamoe conformance} show it.
 */
final class BlockFormats {
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** Values of the four bits of IQ4_NL and IQ4_XS. */
  private static final byte[] NON_LINEAR = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  /** Twice the values of the four bits of MXFP4 (E2M1); ggml has no negative zero. */
  private static final byte[] TWICE_E2M1 = {
    0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12
  };

  private static final float[] E4M3 = e4m3();

  /** Decodes a number of blocks from the first byte to the first float on. */
  @FunctionalInterface
  interface Decoder {
    void decode(MemorySegment from, MemorySegment to, long blocks);
  }

  private BlockFormats() {}

  static void f64(MemorySegment from, MemorySegment to, long count) {
    for (long i = 0; i < count; i++) {
      put(to, i, (float) from.get(DOUBLE, i * Double.BYTES));
    }
  }

  static void f32(MemorySegment from, MemorySegment to, long count) {
    MemorySegment.copy(from, INT, 0, to, ValueLayout.JAVA_INT_UNALIGNED, 0, count);
  }

  static void f16(MemorySegment from, MemorySegment to, long count) {
    for (long i = 0; i < count; i++) {
      put(to, i, half(from, i * Short.BYTES));
    }
  }

  static void bf16(MemorySegment from, MemorySegment to, long count) {
    for (long i = 0; i < count; i++) {
      put(to, i, BFloat16.toFloat(from.get(SHORT, i * Short.BYTES)));
    }
  }

  static void f8E4m3(MemorySegment from, MemorySegment to, long count) {
    for (long i = 0; i < count; i++) {
      put(to, i, E4M3[from.get(BYTE, i) & 255]);
    }
  }

  private static float[] e4m3() {
    float[] values = new float[256];
    for (int bits = 0; bits < values.length; bits++) {
      int exponent = bits >> 3 & 15;
      int mantissa = bits & 7;
      float magnitude =
          exponent == 0
              ? Math.scalb(mantissa, -9)
              : (bits & 127) == 127 ? Float.NaN : Math.scalb(8 + mantissa, exponent - 10);
      values[bits] = bits < 128 ? magnitude : -magnitude;
    }
    return values;
  }

  /** d f16 (2), then 16 bytes: byte j holds element j in its low and j + 16 in its high half. */
  static void q4_0(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 18, out += 32) {
      float d = half(from, at);
      for (int j = 0; j < 16; j++) {
        int q = from.get(BYTE, at + 2 + j);
        put(to, out + j, d * ((q & 15) - 8));
        put(to, out + 16 + j, d * ((q >> 4 & 15) - 8));
      }
    }
  }

  /** d f16 (2), minimum f16 (2), 16 bytes as Q4_0. */
  static void q4_1(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 20, out += 32) {
      float d = half(from, at);
      float minimum = half(from, at + 2);
      for (int j = 0; j < 16; j++) {
        int q = from.get(BYTE, at + 4 + j);
        put(to, out + j, d * (q & 15) + minimum);
        put(to, out + 16 + j, d * (q >> 4 & 15) + minimum);
      }
    }
  }

  /** d f16 (2), high bits (4; bit i is of element i), 16 bytes as Q4_0. */
  static void q5_0(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 22, out += 32) {
      float d = half(from, at);
      int high = from.get(INT, at + 2);
      for (int j = 0; j < 16; j++) {
        int q = from.get(BYTE, at + 6 + j);
        put(to, out + j, d * ((q & 15 | (high >>> j & 1) << 4) - 16));
        put(to, out + 16 + j, d * ((q >> 4 & 15 | (high >>> 16 + j & 1) << 4) - 16));
      }
    }
  }

  /** d f16 (2), minimum f16 (2), high bits (4) and 16 bytes as Q5_0. */
  static void q5_1(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 24, out += 32) {
      float d = half(from, at);
      float minimum = half(from, at + 2);
      int high = from.get(INT, at + 4);
      for (int j = 0; j < 16; j++) {
        int q = from.get(BYTE, at + 8 + j);
        put(to, out + j, d * (q & 15 | (high >>> j & 1) << 4) + minimum);
        put(to, out + 16 + j, d * (q >> 4 & 15 | (high >>> 16 + j & 1) << 4) + minimum);
      }
    }
  }

  /** Q8_0 and its like: d f16 (2), as many signed bytes as elements. */
  static Decoder int8(int elements) {
    return (from, to, blocks) -> {
      for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 2 + elements) {
        float d = half(from, at);
        for (int j = 0; j < elements; j++, out++) {
          put(to, out, d * from.get(BYTE, at + 2 + j));
        }
      }
    };
  }

  /**
   * 16 scales and minima of four bits each (16), quarters of 64 bytes (64), d f16, minimum f16. The
   * sub-block of 16 elements s = 8n + 2p + h has bits 2p and 2p + 1 of the bytes from 32n + 16h on.
   */
  static void q2K(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 84) {
      float d = half(from, at + 80);
      float minimum = half(from, at + 82);
      for (int s = 0; s < 16; s++, out += 16) {
        int scale = from.get(BYTE, at + s);
        float ds = d * (scale & 15);
        float ms = minimum * (scale >> 4 & 15);
        int shift = s & 6;
        long bytes = at + 16 + (s >> 3) * 32 + (s & 1) * 16;
        for (int l = 0; l < 16; l++) {
          put(to, out + l, ds * (from.get(BYTE, bytes + l) >> shift & 3) - ms);
        }
      }
    }
  }

  /**
   * Third bits (32), two bits as Q2_K (64), 16 scales of six bits (12), d f16. A third bit that is
   * not set subtracts 4. Scale s has its low bits in half s / 8 of byte s mod 8, its high ones in
   * bits 2(s / 4) of byte 8 + s mod 4.
   */
  static void q3K(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 110) {
      float d = half(from, at + 108);
      for (int s = 0; s < 16; s++, out += 16) {
        int low = from.get(BYTE, at + 96 + (s & 7)) >> 4 * (s >> 3) & 15;
        int high = from.get(BYTE, at + 104 + (s & 3)) >> 2 * (s >> 2) & 3;
        float ds = d * ((low | high << 4) - 32);
        int shift = s & 6;
        int third = s >> 1;
        long half = (s & 1) * 16;
        long bytes = at + 32 + (s >> 3) * 32 + half;
        for (int l = 0; l < 16; l++) {
          int q = from.get(BYTE, bytes + l) >> shift & 3;
          int bit = from.get(BYTE, at + half + l) >> third & 1;
          put(to, out + l, ds * (q - 4 + 4 * bit));
        }
      }
    }
  }

  /**
   * d f16 (2), minimum f16 (2), 8 scales and 8 minima of six bits (12), 128 bytes: a run of 32 has
   * sub-block 2r in its low and 2r + 1 in its high halves.
   */
  static void q4K(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 144) {
      float d = half(from, at);
      float minimum = half(from, at + 2);
      for (int s = 0; s < 8; s++, out += 32) {
        float ds = d * scaleK(from, at + 4, s);
        float ms = minimum * minimumK(from, at + 4, s);
        int shift = 4 * (s & 1);
        long bytes = at + 16 + (s >> 1) * 32;
        for (int l = 0; l < 32; l++) {
          put(to, out + l, ds * (from.get(BYTE, bytes + l) >> shift & 15) - ms);
        }
      }
    }
  }

  /** As Q4_K, with fifth bits (32) before the 128 bytes: bit s of byte l is of sub-block s. */
  static void q5K(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 176) {
      float d = half(from, at);
      float minimum = half(from, at + 2);
      for (int s = 0; s < 8; s++, out += 32) {
        float ds = d * scaleK(from, at + 4, s);
        float ms = minimum * minimumK(from, at + 4, s);
        int shift = 4 * (s & 1);
        long bytes = at + 48 + (s >> 1) * 32;
        for (int l = 0; l < 32; l++) {
          int fifth = from.get(BYTE, at + 16 + l) >> s & 1;
          put(to, out + l, ds * (from.get(BYTE, bytes + l) >> shift & 15 | fifth << 4) - ms);
        }
      }
    }
  }

  /**
   * Low four bits (128), high two bits (64), 16 signed scales (16), d f16. In half n of the block,
   * quarter p of 32 elements has the bytes from 64n + 32(p mod 2) on, low halves for p &lt; 2, and
   * bits 2p of the bytes from 32n on.
   */
  static void q6K(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 210) {
      float d = half(from, at + 208);
      for (int s = 0; s < 16; s++, out += 16) {
        float ds = d * from.get(BYTE, at + 192 + s);
        int quarter = s >> 1 & 3;
        long within = (s & 1) * 16;
        long low = at + (s >> 3) * 64 + (quarter & 1) * 32 + within;
        long high = at + 128 + (s >> 3) * 32 + within;
        int lowShift = 4 * (quarter >> 1);
        int highShift = 2 * quarter;
        for (int l = 0; l < 16; l++) {
          int q =
              from.get(BYTE, low + l) >> lowShift & 15
                  | (from.get(BYTE, high + l) >> highShift & 3) << 4;
          put(to, out + l, ds * (q - 32));
        }
      }
    }
  }

  /** d f16 (2), 16 bytes as Q4_0, looked up. */
  static void iq4Nl(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 18, out += 32) {
      lookUp(NON_LINEAR, half(from, at), from, at + 2, to, out);
    }
  }

  /**
   * d f16 (2), high two bits of 8 scales (2), low four bits (4), then 8 sub-blocks of 16 bytes as
   * IQ4_NL.
   */
  static void iq4Xs(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 136) {
      float d = half(from, at);
      int high = from.get(SHORT, at + 2);
      for (int s = 0; s < 8; s++, out += 32) {
        int low = from.get(BYTE, at + 4 + (s >> 1)) >> 4 * (s & 1) & 15;
        int scale = (low | (high >> 2 * s & 3) << 4) - 32;
        lookUp(NON_LINEAR, d * scale, from, at + 8 + s * 16, to, out);
      }
    }
  }

  /** Exponent e of the scale 2^(e - 127) (1), 16 bytes as Q4_0, looked up. */
  static void mxfp4(MemorySegment from, MemorySegment to, long blocks) {
    for (long block = 0, at = 0, out = 0; block < blocks; block++, at += 17, out += 32) {
      int exponent = from.get(BYTE, at) & 255;
      // Half of the scale, since the table is doubled; it is subnormal for the exponents 0 and 1.
      int bits = exponent < 2 ? 1 << 21 + exponent : exponent - 1 << 23;
      lookUp(TWICE_E2M1, Float.intBitsToFloat(bits), from, at + 1, to, out);
    }
  }

  private static void lookUp(
      byte[] table, float scale, MemorySegment from, long at, MemorySegment to, long out) {
    for (int j = 0; j < 16; j++) {
      int q = from.get(BYTE, at + j);
      put(to, out + j, scale * table[q & 15]);
      put(to, out + 16 + j, scale * table[q >> 4 & 15]);
    }
  }

  /** Scale s of the 12 bytes of Q4_K and Q5_K: six bits, for s &gt; 3 in two parts. */
  private static int scaleK(MemorySegment from, long at, int s) {
    return s < 4
        ? from.get(BYTE, at + s) & 63
        : from.get(BYTE, at + s + 4) & 15 | (from.get(BYTE, at + s - 4) >> 6 & 3) << 4;
  }

  private static int minimumK(MemorySegment from, long at, int s) {
    return s < 4
        ? from.get(BYTE, at + s + 4) & 63
        : from.get(BYTE, at + s + 4) >> 4 & 15 | (from.get(BYTE, at + s) >> 6 & 3) << 4;
  }

  private static float half(MemorySegment from, long at) {
    return Float.float16ToFloat(from.get(SHORT, at));
  }

  private static void put(MemorySegment to, long index, float value) {
    to.set(FLOAT, index * Float.BYTES, value);
  }
}
