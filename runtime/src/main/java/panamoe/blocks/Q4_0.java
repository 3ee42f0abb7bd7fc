package panamoe.blocks;

/** d f16 (2), then 16 bytes: byte j holds element j in its low and j + 16 in its high half. */
public final class Q4_0 extends SymmetricBlocks {
  public Q4_0() {
    super("Q4_0", 2, SMALL, 18, -8, 7, "Q8_0");
  }

  @Override
  void codes(byte[] block, int[] codes) {
    pairs(block, 2, codes, 0);
    for (int i = 0; i < SMALL; i++) {
      codes[i] -= 8;
    }
  }

  @Override
  void put(int[] codes, byte[] block) {
    for (int j = 0; j < 16; j++) {
      block[2 + j] = (byte) (codes[j] + 8 | codes[j + 16] + 8 << 4);
    }
  }
}
