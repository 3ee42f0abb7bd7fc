package panamoe.blocks;

/**
 * Four scales of eight bits without a sign (4), then 16 numbers like MXFP4's 32 each (32). It has
 * no kernels.
 */
public final class NVFP4 extends BlockFormat {
  private static final int PART = 16;

  public NVFP4() {
    super("NVFP4", 40, 64, 36, PART);
  }

  @Override
  float scale(byte[] block, int part) {
    int bits = block[part] & 127;
    int exponent = bits >> 3;
    float mantissa = exponent == 0 ? bits : 8 + bits % 8;
    return block[part] == 127 ? 0 : Math.scalb(mantissa, Math.max(1, exponent) - 11);
  }

  @Override
  void codes(byte[] block, int[] codes) {
    for (int i = 0; i < codes.length; i++) {
      codes[i] = twiceE2m1(block[4 + i / PART * 8 + i % 8] >> i / 8 % 2 * 4 & 15);
    }
  }
}
