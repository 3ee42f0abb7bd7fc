package panamoe.blocks;

/** Q4_1 with fifth bits (4; bit i is of element i) before the 16 bytes. */
public final class Q5_1 extends Q4_1 {
  public Q5_1() {
    super("Q5_1", 7, 24, 31);
  }

  @Override
  void codes(byte[] block, int[] codes) {
    pairsAndFifths(block, 4, 8, codes);
  }

  @Override
  void put(int[] codes, byte[] block) {
    putPairs(codes, 0, block, 8);
    for (int i = 0; i < SMALL; i++) {
      block[4 + i / 8] |= (byte) (codes[i] >> 4 << i % 8);
    }
  }
}
