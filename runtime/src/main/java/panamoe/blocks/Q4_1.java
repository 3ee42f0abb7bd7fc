package panamoe.blocks;

/** d f16 (2), minimum f16 (2), which is added, then 16 bytes like Q4_0: {@code d · q + m}. */
public class Q4_1 extends BlockFormat {
  private final int high;

  public Q4_1() {
    this("Q4_1", 3, 20, 15);
  }

  /** {@code high}: the largest code. */
  Q4_1(String name, int gguf, int bytes, int high) {
    super(name, gguf, SMALL, bytes, SMALL);
    this.high = high;
  }

  @Override
  final int[] exponents() {
    return new int[] {1, 3};
  }

  @Override
  final float minimum(byte[] block, int part) {
    return -half(block, 2);
  }

  @Override
  void codes(byte[] block, int[] codes) {
    pairs(block, 4, codes, 0);
  }

  /** Writes codes, whose scale and minimum are written. */
  void put(int[] codes, byte[] block) {
    putPairs(codes, 0, block, 4);
  }

  @Override
  final void search(BlockSearch numbers, byte[] block) {
    BlockSearch.Affine wanted = numbers.affine(0, SMALL, high, /* signed= */ true);
    double scale = putHalf(block, 0, wanted.scale());
    double minimum = -putHalf(block, 2, -wanted.minimum());
    numbers.code(0, SMALL, scale, minimum, 0, high);
    put(numbers.codes, block);
  }
}
