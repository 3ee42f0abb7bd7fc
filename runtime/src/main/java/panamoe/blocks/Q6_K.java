package panamoe.blocks;

import java.util.function.IntToDoubleFunction;

/**
 * Low four bits (128), high two bits (64), signed scales of 16 elements each (16), d f16. In half n
 * of the block, quarter p of 32 elements has the bytes from 64n + 32(p mod 2) on, low halves for p
 * &lt; 2, and bits 2p of the bytes from 32n on.
 */
public final class Q6_K extends BlockFormat {
  private static final int SCALED = 16;
  private static final int SCALES = 192;
  private static final int SCALE = 208;

  public Q6_K() {
    super("Q6_K", 14, LARGE, 210, SCALED);
  }

  @Override
  int[] exponents() {
    return new int[] {SCALE + 1};
  }

  @Override
  float scale(byte[] block, int part) {
    return half(block, SCALE) * block[SCALES + part];
  }

  @Override
  void codes(byte[] block, int[] codes) {
    for (int i = 0; i < LARGE; i++) {
      int quarter = i % 128 / SMALL;
      codes[i] =
          (block[low(i)] >> quarter / 2 * 4 & 15 | (block[high(i)] >> 2 * quarter & 3) << 4) - 32;
    }
  }

  /** The bytes with the low and with the high bits of element {@code i}. */
  private static int low(int i) {
    return i / 128 * 64 + i / SMALL % 2 * SMALL + i % SMALL;
  }

  private static int high(int i) {
    return 128 + i / 128 * SMALL + i % SMALL;
  }

  @Override
  void search(BlockSearch numbers, byte[] block) {
    put(
        numbers,
        first -> numbers.symmetric(first, SCALED, -32, 31, /* float16= */ false),
        BlockSearch.NEIGHBOURS,
        block);
  }

  /** The scale of 16 elements is the one of largest magnitude / -32. */
  @Override
  void round(BlockSearch numbers, byte[] block) {
    put(numbers, first -> numbers.largest(first, SCALED) / -32, new int[] {0}, block);
  }

  /**
   * @param scaleOf scale of 16 elements from an index on, before it is rounded
   * @param neighbours of the rounded scale that are tried
   */
  private void put(
      BlockSearch numbers, IntToDoubleFunction scaleOf, int[] neighbours, byte[] block) {
    double[] wanted = new double[LARGE / SCALED];
    double most = 0;
    for (int part = 0; part < wanted.length; part++) {
      wanted[part] = scaleOf.applyAsDouble(part * SCALED);
      most = Math.abs(wanted[part]) > Math.abs(most) ? wanted[part] : most;
    }
    double d = putHalf(block, SCALE, most / -128);
    for (int part = 0; part < wanted.length; part++) {
      int scale = BlockSearch.nearest(wanted[part], d, -128, 127);
      int best = scale;
      double bestError = Double.POSITIVE_INFINITY;
      for (int more : neighbours) {
        int s = Math.clamp(scale + more, -128, 127);
        double error = numbers.code(part * SCALED, SCALED, d * s, 0, -32, 31);
        if (error < bestError) {
          bestError = error;
          best = s;
        }
      }
      numbers.code(part * SCALED, SCALED, d * best, 0, -32, 31);
      block[SCALES + part] = (byte) best;
    }
    for (int i = 0; i < LARGE; i++) {
      int quarter = i % 128 / SMALL;
      int code = numbers.codes[i] + 32;
      block[low(i)] |= (byte) ((code & 15) << quarter / 2 * 4);
      block[high(i)] |= (byte) (code >> 4 << 2 * quarter);
    }
  }
}
