package panamoe.blocks;

/**
 * d f16 (2), high two bits of 8 scales (2), their low four bits (4), 8 times 16 bytes like IQ4_NL.
 */
public final class IQ4_XS extends SymmetricParts {
  public IQ4_XS() {
    super("IQ4_XS", 23, 136, SMALL, 0, -32, IQ4_NL.LEVELS[0], IQ4_NL.LEVELS[15]);
  }

  /** Factors take a byte each. */
  @Override
  public int packedBytes() {
    return bytes() + 2;
  }

  @Override
  public String smaller() {
    return "IQ4_NL";
  }

  @Override
  int[] levels() {
    return IQ4_NL.LEVELS;
  }

  @Override
  int factor(byte[] block, int part) {
    int low = block[4 + part / 2] >> part % 2 * 4 & 15;
    int high = block[2 + part / 4] >> part % 4 * 2 & 3;
    return (low | high << 4) - 32;
  }

  @Override
  void putFactor(byte[] block, int part, int factor) {
    int bits = factor + 32;
    block[4 + part / 2] |= (byte) ((bits & 15) << part % 2 * 4);
    block[2 + part / 4] |= (byte) (bits >> 4 << part % 4 * 2);
  }

  @Override
  void codes(byte[] block, int[] codes) {
    IQ4_NL.lookUp(block, 8, codes);
  }

  @Override
  void put(int[] codes, byte[] block) {
    IQ4_NL.putLevels(codes, block, 8);
  }
}
