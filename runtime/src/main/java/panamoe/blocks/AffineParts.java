package panamoe.blocks;

/**
 * Parts of 256 elements, each with whole factors s and m of a scale and of a minimum: {@code d · s
 * · q − dmin · m}.
 */
abstract class AffineParts extends BlockFormat {
  private final int scaled;
  private final int at;
  private final int mostFactor;
  private final int high;

  /**
   * @param scaled elements of a part
   * @param at the first byte of d, which dmin follows
   * @param mostFactor the largest factor; the least is 0
   * @param high the largest code; the least is 0
   */
  AffineParts(String name, int gguf, int bytes, int scaled, int at, int mostFactor, int high) {
    super(name, gguf, LARGE, bytes, scaled);
    this.scaled = scaled;
    this.at = at;
    this.mostFactor = mostFactor;
    this.high = high;
  }

  /** The factor of a part's scale. */
  abstract int scaleFactor(byte[] block, int part);

  /** The factor of a part's minimum. */
  abstract int minimumFactor(byte[] block, int part);

  /** Writes both factors of a part. */
  abstract void putFactors(byte[] block, int part, int scale, int minimum);

  /** Writes codes. */
  abstract void put(int[] codes, byte[] block);

  @Override
  final int[] exponents() {
    return new int[] {at + 1, at + 3};
  }

  @Override
  final float scale(byte[] block, int part) {
    return half(block, at) * scaleFactor(block, part);
  }

  @Override
  final float minimum(byte[] block, int part) {
    return half(block, at + 2) * minimumFactor(block, part);
  }

  @Override
  final void search(BlockSearch numbers, byte[] block) {
    BlockSearch.Affine[] wanted = new BlockSearch.Affine[LARGE / scaled];
    double mostScale = 0;
    double mostMinimum = 0;
    for (int part = 0; part < wanted.length; part++) {
      wanted[part] = numbers.affine(part * scaled, scaled, high, /* signed= */ false);
      mostScale = Math.max(mostScale, wanted[part].scale());
      mostMinimum = Math.max(mostMinimum, wanted[part].minimum());
    }
    double d = putHalf(block, at, mostScale / mostFactor);
    double dmin = putHalf(block, at + 2, mostMinimum / mostFactor);
    for (int part = 0; part < wanted.length; part++) {
      int scale = BlockSearch.nearest(wanted[part].scale(), d, 0, mostFactor);
      int minimum = BlockSearch.nearest(wanted[part].minimum(), dmin, 0, mostFactor);
      int bestScale = scale;
      int bestMinimum = minimum;
      double bestError = Double.POSITIVE_INFINITY;
      for (int more : BlockSearch.NEIGHBOURS) {
        for (int higher : BlockSearch.NEIGHBOURS) {
          int s = Math.clamp(scale + more, 0, mostFactor);
          int m = Math.clamp(minimum + higher, 0, mostFactor);
          double error = numbers.code(part * scaled, scaled, d * s, dmin * m, 0, high);
          if (error < bestError) {
            bestError = error;
            bestScale = s;
            bestMinimum = m;
          }
        }
      }
      numbers.code(part * scaled, scaled, d * bestScale, dmin * bestMinimum, 0, high);
      putFactors(block, part, bestScale, bestMinimum);
    }
    put(numbers.codes, block);
  }
}
