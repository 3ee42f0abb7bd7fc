package panamoe.blocks;

/**
 * d f16 (2), minimum f16 (2), 8 scales and 8 minima of six bits (12), for 32 of 256 elements each,
 * then four bits of each code (128): {@code d · s · q − dmin · m}.
 */
public class Q4_K extends BlockFormat {
  private static final int MOST_FACTOR = 63;

  private final int codesAt;
  private final int high;

  public Q4_K() {
    this("Q4_K", 12, 16, 15);
  }

  /**
   * @param codesAt the first byte with four bits of codes
   * @param high the largest code
   */
  Q4_K(String name, int gguf, int codesAt, int high) {
    super(name, gguf, LARGE, codesAt + LARGE / 2, SMALL);
    this.codesAt = codesAt;
    this.high = high;
  }

  /** Factors take a byte each. */
  @Override
  public final int packedBytes() {
    return bytes() + 4;
  }

  @Override
  public String smaller() {
    return "Q5_0";
  }

  @Override
  final int[] exponents() {
    return new int[] {1, 3};
  }

  @Override
  final float scale(byte[] block, int part) {
    return half(block, 0) * factor(block, part, 0);
  }

  @Override
  final float minimum(byte[] block, int part) {
    return half(block, 2) * factor(block, part, 4);
  }

  /** The factor of a scale (0) or minimum (4): six bits, of part 4 and later ones in two places. */
  private static int factor(byte[] block, int part, int kind) {
    return part < 4
        ? block[4 + part + kind] & 63
        : block[8 + part] >> kind & 15 | (block[part + kind] >> 6 & 3) << 4;
  }

  private static void putFactors(byte[] block, int part, int scale, int minimum) {
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

  /** A run of 32 bytes has part 2r in its low and 2r + 1 in its high halves. */
  @Override
  void codes(byte[] block, int[] codes) {
    for (int i = 0; i < LARGE; i++) {
      codes[i] = block[codesAt + i / 64 * SMALL + i % SMALL] >> i / SMALL % 2 * 4 & 15;
    }
  }

  /** Writes codes, whose scales are written. */
  void put(int[] codes, byte[] block) {
    for (int i = 0; i < LARGE; i++) {
      block[codesAt + i / 64 * SMALL + i % SMALL] |= (byte) ((codes[i] & 15) << i / SMALL % 2 * 4);
    }
  }

  @Override
  final void search(BlockSearch numbers, byte[] block) {
    BlockSearch.Affine[] wanted = new BlockSearch.Affine[LARGE / SMALL];
    double mostScale = 0;
    double mostMinimum = 0;
    for (int part = 0; part < wanted.length; part++) {
      wanted[part] = numbers.affine(part * SMALL, SMALL, high, /* signed= */ false);
      mostScale = Math.max(mostScale, wanted[part].scale());
      mostMinimum = Math.max(mostMinimum, wanted[part].minimum());
    }
    double d = putHalf(block, 0, mostScale / MOST_FACTOR);
    double dmin = putHalf(block, 2, mostMinimum / MOST_FACTOR);
    for (int part = 0; part < wanted.length; part++) {
      int scale = BlockSearch.nearest(wanted[part].scale(), d, 0, MOST_FACTOR);
      int minimum = BlockSearch.nearest(wanted[part].minimum(), dmin, 0, MOST_FACTOR);
      int bestScale = scale;
      int bestMinimum = minimum;
      double bestError = Double.POSITIVE_INFINITY;
      for (int more : BlockSearch.NEIGHBOURS) {
        for (int higher : BlockSearch.NEIGHBOURS) {
          int s = Math.clamp(scale + more, 0, MOST_FACTOR);
          int m = Math.clamp(minimum + higher, 0, MOST_FACTOR);
          double error = numbers.code(part * SMALL, SMALL, d * s, dmin * m, 0, high);
          if (error < bestError) {
            bestError = error;
            bestScale = s;
            bestMinimum = m;
          }
        }
      }
      numbers.code(part * SMALL, SMALL, d * bestScale, dmin * bestMinimum, 0, high);
      putFactors(block, part, bestScale, bestMinimum);
    }
    put(numbers.codes, block);
  }
}
