package panamoe.blocks;

/** d f16 (2), fifth bits (4; bit i is of element i), 16 bytes like Q4_0. */
public final class Q5_0 extends SymmetricBlocks {
  public Q5_0() {
    super("Q5_0", 6, SMALL, 22, -16, 15, "Q8_0");
  }

  @Override
  void codes(byte[] block, int[] codes) {
    pairsAndFifths(block, 2, 6, codes);
    for (int i = 0; i < SMALL; i++) {
      codes[i] -= 16;
    }
  }

  @Override
  void put(int[] codes, byte[] block) {
    for (int i = 0; i < SMALL; i++) {
      int code = codes[i] + 16;
      block[6 + i % 16] |= (byte) ((code & 15) << i / 16 * 4);
      block[2 + i / 8] |= (byte) (code >> 4 << i % 8);
    }
  }
}
