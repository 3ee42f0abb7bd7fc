package panamoe.blocks;

/**
 * A scale d of 16 bits for a whole block (2), and whole codes around 0: {@code d · q}. Q8_0, and
 * its variants with more elements, have signed bytes as codes; formats with smaller codes extend
 * it.
 */
public class SymmetricBlocks extends BlockFormat {
  private final int low;
  private final int high;
  private final String smaller;

  /** Codes of eight bits. */
  public SymmetricBlocks(String name, int gguf, int elements, String smaller) {
    this(name, gguf, elements, 2 + elements, -127, 127, smaller);
  }

  SymmetricBlocks(
      String name, int gguf, int elements, int bytes, int low, int high, String smaller) {
    super(name, gguf, elements, bytes, elements);
    this.low = low;
    this.high = high;
    this.smaller = smaller;
  }

  @Override
  public final String smaller() {
    return smaller;
  }

  @Override
  void codes(byte[] block, int[] codes) {
    for (int i = 0; i < codes.length; i++) {
      codes[i] = block[2 + i];
    }
  }

  /** Writes codes, whose scale is written. */
  void put(int[] codes, byte[] block) {
    for (int i = 0; i < codes.length; i++) {
      block[2 + i] = (byte) codes[i];
    }
  }

  @Override
  final void search(BlockSearch numbers, byte[] block) {
    double wanted = numbers.symmetric(0, elements(), low, high, /* float16= */ true);
    numbers.code(0, elements(), putHalf(block, 0, wanted), 0, low, high);
    put(numbers.codes, block);
  }

  /** The scale is the largest magnitude / high, or that number / low if low is further from 0. */
  @Override
  final void round(BlockSearch numbers, byte[] block) {
    float most = 0;
    for (double number : numbers.x) {
      most = Math.abs(number) > Math.abs(most) ? (float) number : most;
    }
    float wanted = -low == high ? Math.abs(most) / high : most / low;
    if (Float.isInfinite(Float.float16ToFloat(Float.floatToFloat16(wanted)))) {
      throw holdsNot(most);
    }
    float held = (float) putHalf(block, 0, wanted);
    float inverse = held == 0 ? 0 : 1 / held;
    for (int i = 0; i < elements(); i++) {
      float code = (float) numbers.x[i] * inverse;
      numbers.codes[i] = (int) numbers.nearest(code, low, high);
    }
    put(numbers.codes, block);
  }
}
