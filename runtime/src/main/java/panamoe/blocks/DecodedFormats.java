package panamoe.blocks;

import java.util.List;
import java.util.stream.Stream;

/** Formats of files without kernels: they are decoded. */
public final class DecodedFormats {
  private static final int[] NON_LINEAR = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  /** 16 scales and minima of four bits each (16), quarters (64), d f16, minimum f16. */
  private static final BlockFormat Q2_K =
      new BlockFormat("Q2_K", 10, 256, 84, 16) {
        @Override
        float scale(byte[] block, int part) {
          return half(block, 80) * (block[part] & 15);
        }

        @Override
        float minimum(byte[] block, int part) {
          return half(block, 82) * (block[part] >> 4 & 15);
        }

        @Override
        void codes(byte[] block, int[] codes) {
          quarters(block, 16, codes);
        }
      };

  /**
   * Third bits (32), quarters (64), 16 scales of six bits (12), d f16. A third bit that is not set
   * subtracts 4. Scale s has its low bits in half s / 8 of byte s mod 8, its high ones in bits 2(s
   * / 4) of byte 8 + s mod 4.
   */
  private static final BlockFormat Q3_K =
      new BlockFormat("Q3_K", 11, 256, 110, 16) {
        @Override
        float scale(byte[] block, int part) {
          int low = block[96 + part % 8] >> part / 8 * 4 & 15;
          int high = block[104 + part % 4] >> part / 4 * 2 & 3;
          return half(block, 108) * ((low | high << 4) - 32);
        }

        @Override
        void codes(byte[] block, int[] codes) {
          quarters(block, 32, codes);
          for (int i = 0; i < codes.length; i++) {
            codes[i] += (block[i % 32] >> i / 32 & 1) * 4 - 4;
          }
        }
      };

  /** d f16 (2), 16 bytes like Q4_0, whose four bits are looked up. */
  private static final BlockFormat IQ4_NL =
      new BlockFormat("IQ4_NL", 20, 32, 18, 32) {
        @Override
        void codes(byte[] block, int[] codes) {
          lookUp(block, 2, codes);
        }
      };

  /** d f16 (2), high two bits of 8 scales (2), low four bits (4), 8 times 16 bytes like IQ4_NL. */
  private static final BlockFormat IQ4_XS =
      new BlockFormat("IQ4_XS", 23, 256, 136, 32) {
        @Override
        float scale(byte[] block, int part) {
          int low = block[4 + part / 2] >> part % 2 * 4 & 15;
          int high = block[2 + part / 4] >> part % 4 * 2 & 3;
          return half(block, 0) * ((low | high << 4) - 32);
        }

        @Override
        void codes(byte[] block, int[] codes) {
          lookUp(block, 8, codes);
        }
      };

  public static final List<BlockFormat> ALL =
      Stream.concat(Stream.of(Q2_K, Q3_K, IQ4_NL, IQ4_XS), GridFormats.ALL.stream()).toList();

  private DecodedFormats() {}

  /** Element 128n + 32p + l has bits 2p and 2p + 1 of byte 32n + l. */
  private static void quarters(byte[] block, int at, int[] codes) {
    for (int i = 0; i < codes.length; i++) {
      codes[i] = block[at + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    }
  }

  private static void lookUp(byte[] block, int at, int[] codes) {
    for (int first = 0; first < codes.length; first += 32) {
      BlockFormat.pairs(block, at + first / 2, codes, first);
    }
    for (int i = 0; i < codes.length; i++) {
      codes[i] = NON_LINEAR[codes[i]];
    }
  }
}
