package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;
import panamoe.tensor.DType;

/**
 * The readable element types of safetensors and GGUF files; the constants have the names in their
 * headers. Types of more than one element a block are quantised ones ({@link BlockFormats}).
 */
public enum StoredType {
  F64(8, BlockFormats::f64),
  F32(4, BlockFormats::f32),
  F16(2, BlockFormats::f16),
  BF16(2, BlockFormats::bf16),
  /** 4 bits of exponent, 3 of mantissa, no infinities; NaN is 0x7f and 0xff. */
  F8_E4M3(1, BlockFormats::f8E4m3),
  I64(8),
  I32(4),
  I16(2),
  U8(1),
  I8(1),
  BOOL(1),
  Q4_0(32, 18, BlockFormats::q4_0),
  Q4_1(32, 20, BlockFormats::q4_1),
  Q5_0(32, 22, BlockFormats::q5_0),
  Q5_1(32, 24, BlockFormats::q5_1),
  Q8_0(32, 34, BlockFormats.int8(32)),
  Q2_K(256, 84, BlockFormats::q2K),
  Q3_K(256, 110, BlockFormats::q3K),
  Q4_K(256, 144, BlockFormats::q4K),
  Q5_K(256, 176, BlockFormats::q5K),
  Q6_K(256, 210, BlockFormats::q6K),
  IQ4_NL(32, 18, BlockFormats::iq4Nl),
  IQ4_XS(256, 136, BlockFormats::iq4Xs),
  MXFP4(32, 17, BlockFormats::mxfp4),
  Q8_64(64, 66, BlockFormats.int8(64)),
  Q8_128(128, 130, BlockFormats.int8(128));

  private final int elements;
  private final int bytes;
  private final BlockFormats.Decoder decoder; // null for integers

  StoredType(int bytes) {
    this(1, bytes, null);
  }

  StoredType(int bytes, BlockFormats.Decoder decoder) {
    this(1, bytes, decoder);
  }

  StoredType(int elements, int bytes, BlockFormats.Decoder decoder) {
    this.elements = elements;
    this.bytes = bytes;
    this.decoder = decoder;
  }

  /** Number of elements in a block, 1 for types without blocks. */
  public int elements() {
    return elements;
  }

  /** Size in bytes of a block, so of one element for types without blocks. */
  public int bytes() {
    return bytes;
  }

  /** Whether the elements stand for real numbers, quantised or not. */
  public boolean isFloating() {
    return decoder != null;
  }

  /**
   * Decodes elements of a floating type; F64 is rounded to nearest.
   *
   * @param from whole blocks
   * @param to float32 in native order, of their number of elements
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
    decoder.decode(from, to, blocks);
  }

  /** The type of that name in a safetensors header; empty if it is unknown or unsupported. */
  static Optional<StoredType> named(String name) {
    return Arrays.stream(values())
        .filter(type -> type.elements == 1 || type.blocks().isPresent())
        .filter(type -> type.name().equals(name))
        .findFirst();
  }

  /** The stored type with the bits of a tensor dtype. */
  public static StoredType of(DType dtype) {
    return valueOf(dtype.safetensorsName());
  }

  /** The tensor dtype with the same blocks, byte for byte; empty if kernels take none such. */
  public Optional<DType> blocks() {
    return Arrays.stream(DType.values())
        .filter(type -> type.isBlocks() && type.name().equals(name()))
        .findFirst();
  }

  /** The tensor dtype with the same bits per element; empty if a conversion would be needed. */
  public Optional<DType> sameBits() {
    return switch (this) {
      case F32 -> Optional.of(DType.FLOAT32);
      case BF16 -> Optional.of(DType.BFLOAT16);
      case I32 -> Optional.of(DType.INT32);
      case U8, BOOL -> Optional.of(DType.UINT8);
      case I8 -> Optional.of(DType.INT8);
      case F64 -> Optional.of(DType.FLOAT64);
      default -> Optional.empty();
    };
  }
}
