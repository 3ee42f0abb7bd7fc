package panamoe.blocks;

/**
 * d f16 (2), dmin f16 (2), 8 scales and 8 minima of six bits (12), for 32 of 256 elements each,
 * then four bits of each code (128).
 */
public class Q4_K extends AffineParts {
  private final int codesAt;

  public Q4_K() {
    this("Q4_K", 12, 16, 15);
  }

  /**
   * @param codesAt the first byte with four bits of codes
   * @param high the largest code
   */
  Q4_K(String name, int gguf, int codesAt, int high) {
    super(name, gguf, codesAt + LARGE / 2, SMALL, 0, 63, high);
    this.codesAt = codesAt;
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
  final int scaleFactor(byte[] block, int part) {
    return factor(block, part, 0);
  }

  @Override
  final int minimumFactor(byte[] block, int part) {
    return factor(block, part, 4);
  }

  /** The factor of a scale (0) or minimum (4): six bits, of part 4 and later ones in two places. */
  private static int factor(byte[] block, int part, int kind) {
    return part < 4
        ? block[4 + part + kind] & 63
        : block[8 + part] >> kind & 15 | (block[part + kind] >> 6 & 3) << 4;
  }

  @Override
  final void putFactors(byte[] block, int part, int scale, int minimum) {
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

  @Override
  void put(int[] codes, byte[] block) {
    for (int i = 0; i < LARGE; i++) {
      block[codesAt + i / 64 * SMALL + i % SMALL] |= (byte) ((codes[i] & 15) << i / SMALL % 2 * 4);
    }
  }
}
