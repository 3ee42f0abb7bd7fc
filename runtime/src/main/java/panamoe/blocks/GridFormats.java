package panamoe.blocks;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;

/**
 * ggml's formats of one to three bits, whose codes are indices into grids of eight or four numbers.
 * They have no kernels. The grids are recorded from ggml (docs/conformance.md).
 */
public final class GridFormats {
  private static final byte[] RESOURCE = resource();
  private static final int[] OF_TWO_BITS = {8, 25, 43};

  private static final Grid IQ2_XXS_GRID = new Grid(0, 8, 2, OF_TWO_BITS);
  private static final Grid IQ2_XS_GRID = new Grid(512, 8, 2, OF_TWO_BITS);
  private static final Grid IQ2_S_GRID = new Grid(1536, 8, 2, OF_TWO_BITS);
  private static final Grid IQ3_XXS_GRID =
      new Grid(3584, 4, 3, new int[] {4, 12, 20, 28, 36, 44, 52, 62});
  private static final Grid IQ3_S_GRID =
      new Grid(3968, 4, 3, new int[] {1, 3, 5, 7, 9, 11, 13, 15});
  private static final Grid IQ1_GRID = new Grid(4736, 8, 2, new int[] {-8, 0, 8});

  /** d f16 (2), then for each 32: 4 indices (4), 4 times 7 signs and a scale of 4 bits (4). */
  private static final BlockFormat IQ2_XXS =
      new BlockFormat("IQ2_XXS", 16, 256, 66, 32) {
        @Override
        float scale(byte[] block, int part) {
          return scaled(block, word(block, 6 + 8 * part) >>> 28) * 0.25f;
        }

        @Override
        void codes(byte[] block, int[] codes) {
          for (int i = 0; i < 32; i++) {
            int at = 2 + i / 4 * 8;
            IQ2_XXS_GRID.put(block[at + i % 4] & 255, codes, 8 * i);
            sign(codes, 8 * i, signs(word(block, at + 4) >>> i % 4 * 7));
          }
        }
      };

  /** d f16 (2), 32 times an index of 9 bits and 7 signs (64), 16 scales of 4 bits (8). */
  private static final BlockFormat IQ2_XS =
      new BlockFormat("IQ2_XS", 17, 256, 74, 16) {
        @Override
        float scale(byte[] block, int part) {
          return scaled(block, nibble(block, 66, part)) * 0.25f;
        }

        @Override
        void codes(byte[] block, int[] codes) {
          for (int i = 0; i < 32; i++) {
            int pair = block[2 + 2 * i] & 255 | (block[3 + 2 * i] & 255) << 8;
            IQ2_XS_GRID.put(pair & 511, codes, 8 * i);
            sign(codes, 8 * i, signs(pair >> 9));
          }
        }
      };

  /** d f16 (2), low bytes of indices (32), signs (32), two high bits of indices (8), scales (8). */
  private static final BlockFormat IQ2_S =
      new BlockFormat("IQ2_S", 22, 256, 82, 16) {
        @Override
        float scale(byte[] block, int part) {
          return scaled(block, nibble(block, 74, part)) * 0.25f;
        }

        @Override
        void codes(byte[] block, int[] codes) {
          for (int i = 0; i < 32; i++) {
            int high = block[66 + i / 4] >> i % 4 * 2 & 3;
            IQ2_S_GRID.put(block[2 + i] & 255 | high << 8, codes, 8 * i);
            sign(codes, 8 * i, block[34 + i]);
          }
        }
      };

  /** d f16 (2), indices of four (64), for each 32 signs and a scale like IQ2_XXS (32). */
  private static final BlockFormat IQ3_XXS =
      new BlockFormat("IQ3_XXS", 18, 256, 98, 32) {
        @Override
        float scale(byte[] block, int part) {
          return scaled(block, word(block, 66 + 4 * part) >>> 28) * 0.5f;
        }

        @Override
        void codes(byte[] block, int[] codes) {
          for (int i = 0; i < 64; i++) {
            IQ3_XXS_GRID.put(block[2 + i] & 255, codes, 4 * i);
          }
          for (int i = 0; i < 32; i++) {
            sign(codes, 8 * i, signs(word(block, 66 + i / 4 * 4) >>> i % 4 * 7));
          }
        }
      };

  /** d f16 (2), low bytes of indices (64), their high bits (8), signs (32), scales (4). */
  private static final BlockFormat IQ3_S =
      new BlockFormat("IQ3_S", 21, 256, 110, 32) {
        @Override
        float scale(byte[] block, int part) {
          return half(block, 0) * (1 + 2 * nibble(block, 106, part));
        }

        @Override
        void codes(byte[] block, int[] codes) {
          for (int i = 0; i < 64; i++) {
            int high = block[66 + i / 8] >> i % 8 & 1;
            IQ3_S_GRID.put(block[2 + i] & 255 | high << 8, codes, 4 * i);
          }
          for (int i = 0; i < 32; i++) {
            sign(codes, 8 * i, block[74 + i]);
          }
        }
      };

  /**
   * d f16 (2), low bytes of indices (32), for each 32: 4 times three high bits, a scale of three
   * bits, the sign of an eighth that is added (16).
   */
  private static final BlockFormat IQ1_S =
      new BlockFormat("IQ1_S", 19, 256, 50, 32) {
        @Override
        float scale(byte[] block, int part) {
          return half(block, 0) * (2 * (block[35 + 2 * part] >> 4 & 7) + 1) / 8;
        }

        @Override
        void codes(byte[] block, int[] codes) {
          for (int i = 0; i < 32; i++) {
            int rest = block[34 + i / 4 * 2] & 255 | block[35 + i / 4 * 2] << 8;
            int high = rest >> i % 4 * 3 & 7;
            IQ1_GRID.put(block[2 + i] & 255 | high << 8, codes, 8 * i);
            add(codes, 8 * i, rest < 0 ? -1 : 1);
          }
        }
      };

  /**
   * Low bytes of indices (32), for each 8: three high bits and the sign of an eighth (16), four
   * times four scales of three bits and four bits of d (8).
   */
  private static final BlockFormat IQ1_M =
      new BlockFormat("IQ1_M", 29, 256, 56, 16) {
        @Override
        float scale(byte[] block, int part) {
          int d = 0;
          for (int i = 0; i < 4; i++) {
            d |= (block[49 + 2 * i] >> 4 & 15) << 4 * i;
          }
          int scales = block[48 + part / 4 * 2] & 255 | block[49 + part / 4 * 2] << 8;
          return Float.float16ToFloat((short) d) * (2 * (scales >> part % 4 * 3 & 7) + 1) / 8;
        }

        @Override
        void codes(byte[] block, int[] codes) {
          for (int i = 0; i < 32; i++) {
            int rest = nibble(block, 32, i);
            IQ1_GRID.put(block[i] & 255 | (rest & 7) << 8, codes, 8 * i);
            add(codes, 8 * i, rest > 7 ? -1 : 1);
          }
        }
      };

  /** All formats that are only decoded: these, and one without a grid. */
  public static final List<BlockFormat> WITHOUT_KERNELS =
      List.of(IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ1_S, IQ1_M, new NVFP4());

  private GridFormats() {}

  /**
   * A grid: {@code width} numbers for each index.
   *
   * @param at its first byte in the resource
   * @param bits of a number, which is the place of its value in {@code levels}
   */
  private record Grid(int at, int width, int bits, int[] levels) {
    void put(int index, int[] codes, int first) {
      for (int i = 0; i < width; i++) {
        int bit = (index * width + i) * bits;
        int from = at + bit / 8;
        int pair = RESOURCE[from] & 255 | (bit % 8 + bits > 8 ? RESOURCE[from + 1] << 8 : 0);
        codes[first + i] = levels[pair >> bit % 8 & (1 << bits) - 1];
      }
    }
  }

  private static byte[] resource() {
    try (InputStream stream = GridFormats.class.getResourceAsStream("grids.bin")) {
      return stream.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int word(byte[] block, int at) {
    int word = 0;
    for (int i = 3; i >= 0; i--) {
      word = word << 8 | block[at + i] & 255;
    }
    return word;
  }

  private static int nibble(byte[] block, int at, int i) {
    return block[at + i / 2] >> i % 2 * 4 & 15;
  }

  /** Seven signs; the eighth makes their number even. */
  private static int signs(int bits) {
    int seven = bits & 127;
    return seven | Integer.bitCount(seven) % 2 << 7;
  }

  private static void sign(int[] codes, int first, int signs) {
    for (int i = 0; i < 8; i++) {
      codes[first + i] *= 1 - 2 * (signs >> i & 1);
    }
  }

  private static void add(int[] codes, int first, int number) {
    for (int i = 0; i < 8; i++) {
      codes[first + i] += number;
    }
  }

  private static float scaled(byte[] block, int code) {
    return BlockFormat.half(block, 0) * (0.5f + code);
  }
}
