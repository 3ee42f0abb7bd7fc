package panamoe.blocks;

/**
 * Third bits (32), two bits of each code (64), 16 scales of six bits (12), d f16. A third bit that
 * is not set subtracts 4. Scale s has its low bits in half s / 8 of byte s mod 8, its high ones in
 * bits 2(s / 4) of byte 8 + s mod 4.
 */
public final class Q3_K extends SymmetricParts {
  private static final int SCALES = 96;

  public Q3_K() {
    super("Q3_K", 11, 110, 16, 108, -32, -4, 3);
  }

  /** Factors take a byte each. */
  @Override
  public int packedBytes() {
    return bytes() + 4;
  }

  @Override
  public String smaller() {
    return "Q4_0";
  }

  @Override
  int factor(byte[] block, int part) {
    int low = block[SCALES + part % 8] >> part / 8 * 4 & 15;
    int high = block[SCALES + 8 + part % 4] >> part / 4 * 2 & 3;
    return (low | high << 4) - 32;
  }

  @Override
  void putFactor(byte[] block, int part, int factor) {
    int bits = factor + 32;
    block[SCALES + part % 8] |= (byte) ((bits & 15) << part / 8 * 4);
    block[SCALES + 8 + part % 4] |= (byte) (bits >> 4 << part / 4 * 2);
  }

  @Override
  void codes(byte[] block, int[] codes) {
    quarters(block, 32, codes);
    for (int i = 0; i < LARGE; i++) {
      codes[i] += (block[i % SMALL] >> i / SMALL & 1) * 4 - 4;
    }
  }

  @Override
  void put(int[] codes, byte[] block) {
    for (int i = 0; i < LARGE; i++) {
      codes[i] += 4;
      block[i % SMALL] |= (byte) (codes[i] >> 2 << i / SMALL);
    }
    putQuarters(codes, block, 32);
  }
}
