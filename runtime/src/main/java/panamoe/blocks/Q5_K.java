package panamoe.blocks;

/** Q4_K with fifth bits (32) before the 128 bytes: bit s of byte l is of part s. */
public final class Q5_K extends Q4_K {
  public Q5_K() {
    super("Q5_K", 13, 48, 31);
  }

  @Override
  public String smaller() {
    return "Q5_1";
  }

  @Override
  void codes(byte[] block, int[] codes) {
    super.codes(block, codes);
    for (int i = 0; i < LARGE; i++) {
      codes[i] |= (block[16 + i % SMALL] >> i / SMALL & 1) << 4;
    }
  }

  @Override
  void put(int[] codes, byte[] block) {
    super.put(codes, block);
    for (int i = 0; i < LARGE; i++) {
      block[16 + i % SMALL] |= (byte) (codes[i] >> 4 << i / SMALL);
    }
  }
}
