package panamoe.blocks;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.function.BiConsumer;

/**
 * A format of blocks: a number is a scale times a code, minus a minimum in some formats. Decoding
 * has ggml's order of operations and gives its bits, as cases of {@code panamoe conformance} show.
 * Thread-safe.
 */
public abstract class BlockFormat {
  // Elements of the smallest and the largest blocks.
  static final int SMALL = 32;
  static final int LARGE = 256;

  /** Twice the float of four bits (E2M1), which is whole; ggml has no negative zero. */
  private static final int[] TWICE = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  private final String name;
  private final int gguf;
  private final int elements;
  private final int bytes;
  private final int scaled;

  /** {@code scaled} elements share a scale. */
  BlockFormat(String name, int gguf, int elements, int bytes, int scaled) {
    this.name = name;
    this.gguf = gguf;
    this.elements = elements;
    this.bytes = bytes;
    this.scaled = scaled;
  }

  /** Twice a float of four bits (E2M1). */
  public static int twiceE2m1(int code) {
    return TWICE[code];
  }

  /**
   * The name of the format with the codes of groups that share a scale; null if no format has them.
   *
   * @param bits of a code, 4 or 8
   * @param symmetric whether codes are around half of their range; else a group has a minimum
   * @param size elements of a group
   */
  public static String ofGroups(int bits, boolean symmetric, int size) {
    if (size % SMALL != 0 || bits == 8 && !symmetric) {
      return null;
    }
    if (bits == 4) {
      return symmetric ? "Q4_0" : "Q4_1";
    }
    return size % 128 == 0 ? "Q8_128" : size % 64 == 0 ? "Q8_64" : "Q8_0";
  }

  /** The name of the format whose matrices have a factor beside them in GGUF files. */
  public static String withFactors() {
    return "NVFP4";
  }

  /** The name in ggml, in messages, and in headers of safetensors files. */
  public final String name() {
    return name;
  }

  /** The number in GGUF files; -1 if they have none. */
  public final int gguf() {
    return gguf;
  }

  /** Elements of a block. */
  public final int elements() {
    return elements;
  }

  /** Bytes of a block. */
  public final int bytes() {
    return bytes;
  }

  /** Reads the codes of a block, one for each element. */
  abstract void codes(byte[] block, int[] codes);

  /** The scale of the elements from {@code part * scaled} on. */
  float scale(byte[] block, int part) {
    return half(block, 0);
  }

  /** The minimum that is subtracted from these elements. */
  float minimum(byte[] block, int part) {
    return 0;
  }

  /**
   * Decodes blocks.
   *
   * @param from whole blocks
   * @param to float32 in native order, of their number of elements
   */
  public void decode(MemorySegment from, MemorySegment to) {
    byte[] block = new byte[bytes];
    int[] codes = new int[elements];
    float[] y = new float[elements];
    for (long i = 0; i < from.byteSize() / bytes; i++) {
      MemorySegment.copy(from, ValueLayout.JAVA_BYTE, i * bytes, block, 0, bytes);
      codes(block, codes);
      for (int at = 0; at < elements; ) {
        float scale = scale(block, at / scaled);
        float minimum = minimum(block, at / scaled);
        for (int end = at + scaled; at < end; at++) {
          y[at] = scale * codes[at] - minimum;
        }
      }
      long first = i * elements * Float.BYTES;
      MemorySegment.copy(y, 0, to, ValueLayout.JAVA_FLOAT_UNALIGNED, first, elements);
    }
  }

  /** A number of 16 bits. */
  static float half(byte[] block, int at) {
    return Float.float16ToFloat((short) (block[at] & 255 | block[at + 1] << 8));
  }

  /** Four bits each: byte j has element j in its low and j + 16 in its high half. */
  static void pairs(byte[] block, int at, int[] codes, int first) {
    for (int j = 0; j < 16; j++) {
      codes[first + j] = block[at + j] & 15;
      codes[first + 16 + j] = block[at + j] >> 4 & 15;
    }
  }

  /** Writes four bits of each of 32 codes. */
  static void putPairs(int[] codes, int first, byte[] block, int at) {
    for (int j = 0; j < 16; j++) {
      block[at + j] = (byte) (codes[first + j] & 15 | codes[first + 16 + j] << 4);
    }
  }

  /** Four bits each, and fifth bits from byte {@code high} on: bit i is of element i. */
  static void pairsAndFifths(byte[] block, int high, int at, int[] codes) {
    pairs(block, at, codes, 0);
    for (int i = 0; i < SMALL; i++) {
      codes[i] |= (block[high + i / 8] >> i % 8 & 1) << 4;
    }
  }

  /** Whether a CPU rounds rows that are multiplied by such weights. */
  public boolean roundsRows() {
    return true;
  }

  /** Two bits each: element 128n + 32p + l has bits 2p and 2p + 1 of byte 32n + l. */
  static void quarters(byte[] block, int at, int[] codes) {
    for (int i = 0; i < LARGE; i++) {
      codes[i] = block[at + i / 128 * SMALL + i % SMALL] >> i % 128 / SMALL * 2 & 3;
    }
  }

  /** Writes the low two bits of each of 256 codes. */
  static void putQuarters(int[] codes, byte[] block, int at) {
    for (int i = 0; i < LARGE; i++) {
      block[at + i / 128 * SMALL + i % SMALL] |= (byte) ((codes[i] & 3) << i % 128 / SMALL * 2);
    }
  }

  /** Bytes of a block packed by a CPU. */
  public int packedBytes() {
    return bytes();
  }

  /**
   * The name of the format with smaller blocks, and no fewer bits, for rows that these do not
   * divide; null if there is no other.
   */
  public String smaller() {
    return "Q8_0";
  }

  /** Bytes of a block with the exponent of a scale or minimum. */
  int[] exponents() {
    return new int[] {1};
  }

  /** The bits of such a byte that are all set if numbers of the block may not be finite. */
  int fullExponent() {
    return 0x7c;
  }

  /** The codes in ascending order; null: all whole numbers from the least to the largest one. */
  int[] levels() {
    return null;
  }

  /** Makes a block, and searches its scales; {@code block} is all zeros. */
  void search(BlockSearch numbers, byte[] block) {
    throw new IllegalArgumentException("numbers are not rounded to " + name);
  }

  /** Makes a block with the scale of the largest number; {@code block} is all zeros. */
  void round(BlockSearch numbers, byte[] block) {
    throw new IllegalArgumentException("numbers are rounded to " + name + " by a search alone");
  }

  /**
   * Rounds numbers with a small weighted squared error: it searches the scales. Slower than {@link
   * #round}; for files that are read often. Deterministic.
   *
   * @param floats rows of float32, each of whole blocks
   * @param weights of a row's squared errors by column, above 0; null: equal
   * @param columns of a row
   * @param blocks filled
   * @throws IllegalArgumentException if a number is NaN, infinite, or larger than scales reach
   */
  public final void search(
      MemorySegment floats, float[] weights, int columns, MemorySegment blocks) {
    make(floats, weights, columns, blocks, this::search);
  }

  /**
   * Rounds numbers with the scale of a block's largest number; each code is the nearest for that
   * scale. Deterministic.
   *
   * @param floats whole blocks of float32
   * @param blocks filled
   * @throws IllegalArgumentException if a number is NaN, infinite, or larger than scales reach; or
   *     if the format has more than one scale a block
   */
  public final void round(MemorySegment floats, MemorySegment blocks) {
    make(floats, null, elements(), blocks, this::round);
  }

  private void make(
      MemorySegment floats,
      float[] weights,
      int columns,
      MemorySegment blocks,
      BiConsumer<BlockSearch, byte[]> rounding) {
    BlockSearch numbers = new BlockSearch(elements(), levels());
    byte[] block = new byte[bytes()];
    long count = floats.byteSize() / Float.BYTES / elements();
    for (long i = 0; i < count; i++) {
      long first = i * elements();
      for (int j = 0; j < elements(); j++) {
        float number = floats.getAtIndex(ValueLayout.JAVA_FLOAT, first + j);
        if (!Float.isFinite(number)) {
          throw holdsNot(number);
        }
        numbers.x[j] = number;
        numbers.w[j] = weights == null ? 1 : weights[(int) (first % columns) + j];
      }
      Arrays.fill(block, (byte) 0);
      rounding.accept(numbers, block);
      MemorySegment.copy(block, 0, blocks, ValueLayout.JAVA_BYTE, i * bytes(), bytes());
    }
  }

  /**
   * Whether a scale of {@code data} is not finite, or so large that its products may be infinite. A
   * buffer is ten times as fast as the segment until this is compiled, which is when much of a
   * model has been read.
   */
  public boolean mayHoldNonFinite(MemorySegment data) {
    long part = (long) bytes() << 16; // a buffer has less than 2 GiB
    int bits = fullExponent();
    boolean found = false;
    for (long from = 0; from < data.byteSize(); from += part) {
      ByteBuffer bytes = data.asSlice(from, Math.min(part, data.byteSize() - from)).asByteBuffer();
      for (int at : exponents()) {
        for (int i = at; i < bytes.limit(); i += bytes()) {
          found |= (bytes.get(i) & bits) == bits;
        }
      }
    }
    return found;
  }

  /** Writes a scale of 16 bits, and returns the rounded scale. */
  final double putHalf(byte[] block, int at, double value) {
    short bits = Float.floatToFloat16((float) value);
    float held = Float.float16ToFloat(bits);
    if (!Float.isFinite(held)) {
      throw new IllegalArgumentException(
          "numbers ask for a scale of " + value + ", which " + name + " does not hold");
    }
    block[at] = (byte) bits;
    block[at + 1] = (byte) (bits >> 8);
    return held;
  }

  final IllegalArgumentException holdsNot(float number) {
    return new IllegalArgumentException(
        "a number is " + number + ", which " + name + " does not hold");
  }
}
