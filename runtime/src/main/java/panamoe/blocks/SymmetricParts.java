package panamoe.blocks;

/** Parts of 256 elements, each with a whole factor s of a scale: {@code d · s · q}. */
abstract class SymmetricParts extends BlockFormat {
  private final int scaled;
  private final int at;
  private final int leastFactor;
  private final int low;
  private final int high;

  /**
   * @param scaled elements of a part
   * @param at the first byte of d
   * @param leastFactor the least factor, a power of two below 0; the largest is {@code -1 -
   *     leastFactor}
   * @param low the least code
   * @param high the largest code
   */
  SymmetricParts(
      String name, int gguf, int bytes, int scaled, int at, int leastFactor, int low, int high) {
    super(name, gguf, LARGE, bytes, scaled);
    this.scaled = scaled;
    this.at = at;
    this.leastFactor = leastFactor;
    this.low = low;
    this.high = high;
  }

  /** The factor of a part. */
  abstract int factor(byte[] block, int part);

  /** Writes the factor of a part. */
  abstract void putFactor(byte[] block, int part, int factor);

  /** Writes codes. */
  abstract void put(int[] codes, byte[] block);

  @Override
  final int[] exponents() {
    return new int[] {at + 1};
  }

  @Override
  final float scale(byte[] block, int part) {
    return half(block, at) * factor(block, part);
  }

  @Override
  final void search(BlockSearch numbers, byte[] block) {
    double[] wanted = new double[LARGE / scaled];
    double most = 0;
    for (int part = 0; part < wanted.length; part++) {
      wanted[part] = numbers.symmetric(part * scaled, scaled, low, high, /* float16= */ false);
      most = Math.abs(wanted[part]) > Math.abs(most) ? wanted[part] : most;
    }
    double d = putHalf(block, at, most / leastFactor);
    for (int part = 0; part < wanted.length; part++) {
      int factor = BlockSearch.nearest(wanted[part], d, leastFactor, -1 - leastFactor);
      int best = factor;
      double bestError = Double.POSITIVE_INFINITY;
      for (int more : BlockSearch.NEIGHBOURS) {
        int s = Math.clamp(factor + more, leastFactor, -1 - leastFactor);
        double error = numbers.code(part * scaled, scaled, d * s, 0, low, high);
        if (error < bestError) {
          bestError = error;
          best = s;
        }
      }
      numbers.code(part * scaled, scaled, d * best, 0, low, high);
      putFactor(block, part, best);
    }
    put(numbers.codes, block);
  }
}
