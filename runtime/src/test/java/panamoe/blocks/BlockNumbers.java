package panamoe.blocks;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.tensor.DType;

/** An exact decoder of blocks in float64, independent of the formats' classes. */
final class BlockNumbers {
  private static final double[] FOUR_BITS = {
    0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6
  };

  private static final int[] NON_LINEAR = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  private BlockNumbers() {}

  /** Decodes one block to {@code y} from {@code at} on. */
  static void decode(DType dtype, MemorySegment block, double[] y, int at) {
    switch (dtype) {
      case Q8_0, Q8_64, Q8_128 -> {
        for (int i = 0; i < dtype.blockElements(); i++) {
          y[at + i] = half(block, 0) * block.get(ValueLayout.JAVA_BYTE, 2 + i);
        }
      }
      case Q4_0 -> {
        for (int i = 0; i < 32; i++) {
          y[at + i] = half(block, 0) * (nibble(block, 2, i) - 8);
        }
      }
      case Q5_0 -> {
        for (int i = 0; i < 32; i++) {
          int fifth = number(block, 2 + i / 8) >> i % 8 & 1;
          y[at + i] = half(block, 0) * (nibble(block, 6, i) + 16 * fifth - 16);
        }
      }
      case Q4_1, Q5_1 -> {
        boolean five = dtype == DType.Q5_1;
        for (int i = 0; i < 32; i++) {
          int fifth = five ? number(block, 4 + i / 8) >> i % 8 & 1 : 0;
          int code = nibble(block, five ? 8 : 4, i) + 16 * fifth;
          y[at + i] = half(block, 0) * code + half(block, 2);
        }
      }
      case FP8_128 -> {
        double scale = block.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
        for (int i = 0; i < 128; i++) {
          y[at + i] = scale * eightBits(number(block, 4 + i));
        }
      }
      case MXFP4 -> {
        for (int i = 0; i < 32; i++) {
          y[at + i] = Math.scalb(FOUR_BITS[nibble(block, 1, i)], number(block, 0) - 127);
        }
      }
      case Q4_K, Q5_K -> {
        boolean five = dtype == DType.Q5_K;
        for (int i = 0; i < 256; i++) {
          int part = i / 32;
          int codes = number(block, (five ? 48 : 16) + part / 2 * 32 + i % 32);
          int code = part % 2 == 0 ? codes % 16 : codes / 16;
          code += five ? 16 * (number(block, 16 + i % 32) >> part & 1) : 0;
          double scale = half(block, 0) * sixBits(block, part, 0);
          y[at + i] = scale * code - half(block, 2) * sixBits(block, part, 4);
        }
      }
      case Q6_K -> {
        for (int i = 0; i < 256; i++) {
          int part = i % 128 / 32; // of a half
          int low = number(block, i / 128 * 64 + part % 2 * 32 + i % 32);
          int high = number(block, 128 + i / 128 * 32 + i % 32) >> 2 * part & 3;
          int code = (part < 2 ? low % 16 : low / 16) + 16 * high;
          double scale = half(block, 208) * block.get(ValueLayout.JAVA_BYTE, 192 + i / 16);
          y[at + i] = scale * (code - 32);
        }
      }
      case Q2_K -> {
        for (int i = 0; i < 256; i++) {
          int part = number(block, i / 16);
          double scale = half(block, 80) * (part % 16);
          y[at + i] = scale * twoBits(block, 16, i) - half(block, 82) * (part / 16);
        }
      }
      case Q3_K -> {
        for (int i = 0; i < 256; i++) {
          int part = i / 16;
          int low = number(block, 96 + part % 8);
          int high = number(block, 104 + part % 4) >> part / 4 * 2 & 3;
          int factor = (part < 8 ? low % 16 : low / 16) + 16 * high - 32;
          int code = twoBits(block, 32, i) - ((number(block, i % 32) >> i / 32 & 1) == 0 ? 4 : 0);
          y[at + i] = half(block, 108) * factor * code;
        }
      }
      case IQ4_NL -> {
        for (int i = 0; i < 32; i++) {
          y[at + i] = half(block, 0) * NON_LINEAR[nibble(block, 2, i)];
        }
      }
      case IQ4_XS -> {
        for (int i = 0; i < 256; i++) {
          int part = i / 32;
          int low = number(block, 4 + part / 2);
          int high = number(block, 2 + part / 4) >> part % 4 * 2 & 3;
          int factor = (part % 2 == 0 ? low % 16 : low / 16) + 16 * high - 32;
          y[at + i] = half(block, 0) * factor * NON_LINEAR[nibble(block, 8 + 16 * part, i % 32)];
        }
      }
      default -> throw new IllegalArgumentException(dtype + " is not in blocks");
    }
  }

  /**
   * The scale ({@code kind} 0) or the minimum (4) of 32 of 256 elements, 12 bytes from byte 4 on.
   */
  private static int sixBits(MemorySegment block, int part, int kind) {
    if (part < 4) {
      return number(block, 4 + part + kind) % 64;
    }
    int low = number(block, 4 + part + 4);
    int high = number(block, 4 + part - 4 + kind) / 64;
    return (kind == 0 ? low % 16 : low / 16) + 16 * high;
  }

  /** A float with 4 bits of exponent and 3 of fraction. */
  private static double eightBits(int bits) {
    int exponent = bits / 8 % 16;
    double magnitude =
        exponent == 0
            ? Math.scalb(bits % 8 / 8.0, -6)
            : Math.scalb(1 + bits % 8 / 8.0, exponent - 7);
    return bits % 128 == 127 ? Double.NaN : bits < 128 ? magnitude : -magnitude;
  }

  /** The four bits of element {@code i} of 32: the low ones are the first 16's. */
  private static int nibble(MemorySegment block, int from, int i) {
    int two = number(block, from + i % 16);
    return i < 16 ? two % 16 : two / 16;
  }

  /** Two bits of element {@code i} of 256: 32 bytes have those of 128. */
  private static int twoBits(MemorySegment block, int from, int i) {
    return number(block, from + i / 128 * 32 + i % 32) >> i / 32 % 4 * 2 & 3;
  }

  private static int number(MemorySegment block, int at) {
    return block.get(ValueLayout.JAVA_BYTE, at) & 0xff;
  }

  private static double half(MemorySegment block, int at) {
    return Float.float16ToFloat(block.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
  }
}
