package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import panamoe.blocks.BlockFormat;
import panamoe.blocks.FP8;
import panamoe.blocks.GridFormats;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;

/**
 * A readable element type of safetensors and GGUF files. Types with more than one element per block
 * are quantised ({@link BlockFormat}).
 *
 * @param name in headers
 * @param gguf the number in GGUF files; -1 if they have none
 * @param elements in a block, 1 for types without blocks
 * @param bytes of a block, or of an element
 * @param dtype with equal bits or blocks; null if kernels have none
 * @param decoder of whole blocks to float32; null for integers
 */
public record StoredType(
    String name,
    int gguf,
    int elements,
    int bytes,
    DType dtype,
    BiConsumer<MemorySegment, MemorySegment> decoder) {
  private static final Map<String, StoredType> ALL = new LinkedHashMap<>();

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  public static final StoredType F64 =
      floats("F64", 28, 8, DType.FLOAT64, (from, i) -> (float) from.get(DOUBLE, i * Double.BYTES));
  public static final StoredType F32 =
      added("F32", 0, 4, DType.FLOAT32, (from, to) -> to.copyFrom(from));
  public static final StoredType F16 =
      floats(
          "F16", 1, 2, null, (from, i) -> Float.float16ToFloat(from.get(SHORT, i * Short.BYTES)));
  public static final StoredType BF16 =
      floats(
          "BF16",
          30,
          2,
          DType.BFLOAT16,
          (from, i) -> BFloat16.toFloat(from.get(SHORT, i * Short.BYTES)));

  /** 4 bits of exponent, 3 of mantissa, no infinities; NaN is 0x7f and 0xff. */
  public static final StoredType F8_E4M3 =
      floats("F8_E4M3", -1, 1, null, (from, i) -> FP8.value(from.get(ValueLayout.JAVA_BYTE, i)));

  public static final StoredType U8 = added("U8", -1, 1, DType.UINT8, null);
  public static final StoredType I64 = added("I64", 27, 8, null, null);
  public static final StoredType I32 = added("I32", 26, 4, DType.INT32, null);
  public static final StoredType I16 = added("I16", 25, 2, null, null);
  public static final StoredType BOOL = added("BOOL", -1, 1, DType.UINT8, null);

  static {
    added("I8", 24, 1, DType.INT8, null);
    for (DType dtype : DType.values()) {
      if (dtype.isBlocks()) {
        add(dtype.blocks(), dtype);
      }
    }
    GridFormats.WITHOUT_KERNELS.forEach(format -> add(format, null));
  }

  @FunctionalInterface
  private interface FloatAt {
    float of(MemorySegment from, long index);
  }

  private static StoredType added(
      String name,
      int gguf,
      int bytes,
      DType dtype,
      BiConsumer<MemorySegment, MemorySegment> decoder) {
    StoredType type = new StoredType(name, gguf, 1, bytes, dtype, decoder);
    ALL.put(name, type);
    return type;
  }

  private static StoredType floats(String name, int gguf, int bytes, DType dtype, FloatAt element) {
    return added(
        name,
        gguf,
        bytes,
        dtype,
        (from, to) -> {
          for (long i = 0; i < to.byteSize() / Float.BYTES; i++) {
            to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, i * Float.BYTES, element.of(from, i));
          }
        });
  }

  private static void add(BlockFormat format, DType dtype) {
    ALL.put(
        format.name(),
        new StoredType(
            format.name(),
            format.gguf(),
            format.elements(),
            format.bytes(),
            dtype,
            format::decode));
  }

  /** All types. */
  public static Collection<StoredType> values() {
    return Collections.unmodifiableCollection(ALL.values());
  }

  /**
   * The type of that name.
   *
   * @throws IllegalArgumentException if no type has it
   */
  public static StoredType valueOf(String name) {
    return Optional.ofNullable(ALL.get(name))
        .orElseThrow(() -> new IllegalArgumentException("there is no stored type " + name));
  }

  /** The type of that name in a safetensors header; empty if it is unknown or unsupported. */
  static Optional<StoredType> named(String name) {
    return Optional.ofNullable(ALL.get(name));
  }

  /** The stored type with the bits of a tensor dtype. */
  public static StoredType of(DType dtype) {
    return valueOf(dtype.safetensorsName());
  }

  @Override
  public String toString() {
    return name;
  }

  /** Whether the elements are real numbers, quantised or not. */
  public boolean isFloating() {
    return decoder != null;
  }

  /**
   * Decodes elements of a floating type; F64 is rounded to nearest.
   *
   * @param from whole blocks
   * @param to float32 in native order, for all elements
   * @throws IllegalArgumentException if this is an integer type, or the sizes do not fit
   */
  public void decode(MemorySegment from, MemorySegment to) {
    long blocks = from.byteSize() / bytes;
    if (decoder == null
        || blocks * bytes != from.byteSize()
        || blocks * elements != to.byteSize() / Float.BYTES) {
      throw new IllegalArgumentException(
          from.byteSize() + " bytes of " + this + " are no " + to.byteSize() + " bytes of float32");
    }
    decoder.accept(from, to);
  }

  /** Whether a matrix may have a factor in a tensor beside it, in GGUF files. */
  public boolean hasFactors() {
    return name.equals(BlockFormat.withFactors());
  }

  /** The tensor dtype with equal blocks, byte for byte; empty for a type without blocks. */
  public Optional<DType> blocks() {
    return Optional.ofNullable(elements > 1 ? dtype : null);
  }

  /** The tensor dtype with equal bits per element; empty if a conversion is needed. */
  public Optional<DType> sameBits() {
    return Optional.ofNullable(elements == 1 ? dtype : null);
  }
}
