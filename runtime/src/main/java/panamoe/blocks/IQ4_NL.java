package panamoe.blocks;

import java.util.Arrays;

/** Q4_0 with a table of 16 codes: d f16 (2), then 16 bytes. */
public final class IQ4_NL extends SymmetricBlocks {
  static final int[] LEVELS = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  public IQ4_NL() {
    super("IQ4_NL", 20, SMALL, 18, LEVELS[0], LEVELS[15], "Q8_0");
  }

  @Override
  int[] levels() {
    return LEVELS;
  }

  @Override
  void codes(byte[] block, int[] codes) {
    lookUp(block, 2, codes);
  }

  @Override
  void put(int[] codes, byte[] block) {
    putLevels(codes, block, 2);
  }

  /** Codes of which each 32 have 16 bytes. */
  static void lookUp(byte[] block, int at, int[] codes) {
    for (int first = 0; first < codes.length; first += SMALL) {
      pairs(block, at + first / 2, codes, first);
    }
    Arrays.setAll(codes, i -> LEVELS[codes[i]]);
  }

  static void putLevels(int[] codes, byte[] block, int at) {
    Arrays.setAll(codes, i -> Arrays.binarySearch(LEVELS, codes[i]));
    for (int first = 0; first < codes.length; first += SMALL) {
      putPairs(codes, first, block, at + first / 2);
    }
  }
}
