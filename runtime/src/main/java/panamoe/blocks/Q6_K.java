package panamoe.blocks;

/**
 * Low four bits (128), high two bits (64), signed scales of 16 elements each (16), d f16. In half n
 * of the block, quarter p of 32 elements has the bytes from 64n + 32(p mod 2) on, low halves for p
 * &lt; 2, and bits 2p of the bytes from 32n on.
 */
public final class Q6_K extends SymmetricParts {
  private static final int HIGH = 128;
  private static final int SCALES = 192;

  public Q6_K() {
    super("Q6_K", 14, 210, 16, 208, -128, -32, 31);
  }

  @Override
  int factor(byte[] block, int part) {
    return block[SCALES + part];
  }

  @Override
  void putFactor(byte[] block, int part, int factor) {
    block[SCALES + part] = (byte) factor;
  }

  /** The byte with the low bits of element {@code i}, and their place in it. */
  private static int low(int i) {
    return i / 128 * 64 + i / SMALL % 2 * SMALL + i % SMALL;
  }

  private static int shift(int i) {
    return i % 128 / 64 * 4;
  }

  @Override
  void codes(byte[] block, int[] codes) {
    quarters(block, HIGH, codes);
    for (int i = 0; i < LARGE; i++) {
      codes[i] = (codes[i] << 4 | block[low(i)] >> shift(i) & 15) - 32;
    }
  }

  @Override
  void put(int[] codes, byte[] block) {
    for (int i = 0; i < LARGE; i++) {
      int code = codes[i] + 32;
      block[low(i)] |= (byte) ((code & 15) << shift(i));
      codes[i] = code >> 4;
    }
    putQuarters(codes, block, HIGH);
  }
}
