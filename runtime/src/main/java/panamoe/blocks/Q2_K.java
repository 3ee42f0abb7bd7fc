package panamoe.blocks;

/** 16 scales and minima of four bits each (16), two bits of each code (64), d f16, dmin f16. */
public final class Q2_K extends AffineParts {
  public Q2_K() {
    super("Q2_K", 10, 84, 16, 80, 15, 3);
  }

  @Override
  public String smaller() {
    return "Q4_0";
  }

  @Override
  int scaleFactor(byte[] block, int part) {
    return block[part] & 15;
  }

  @Override
  int minimumFactor(byte[] block, int part) {
    return block[part] >> 4 & 15;
  }

  @Override
  void putFactors(byte[] block, int part, int scale, int minimum) {
    block[part] = (byte) (scale | minimum << 4);
  }

  @Override
  void codes(byte[] block, int[] codes) {
    quarters(block, 16, codes);
  }

  @Override
  void put(int[] codes, byte[] block) {
    putQuarters(codes, block, 16);
  }
}
