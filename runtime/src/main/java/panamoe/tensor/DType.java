package panamoe.tensor;

import com.fasterxml.jackson.annotation.JsonCreator;
import java.util.Arrays;
import java.util.Optional;
import panamoe.blocks.BlockFormat;
import panamoe.blocks.FP8;
import panamoe.blocks.IQ4_NL;
import panamoe.blocks.IQ4_XS;
import panamoe.blocks.MXFP4;
import panamoe.blocks.Q2_K;
import panamoe.blocks.Q3_K;
import panamoe.blocks.Q4_0;
import panamoe.blocks.Q4_1;
import panamoe.blocks.Q4_K;
import panamoe.blocks.Q5_0;
import panamoe.blocks.Q5_1;
import panamoe.blocks.Q5_K;
import panamoe.blocks.Q6_K;
import panamoe.blocks.SymmetricBlocks;

/** Element types; {@link #code} is the {@code moe_dtype} of the C ABI. */
public enum DType {
  FLOAT32(0, 4, "F32"),
  BFLOAT16(1, 2, "BF16"),
  INT32(2, 4, "I32"),
  UINT8(3, 1, "U8"),
  /** For sums over many tokens, which ranks add up; kernels do not compute in it. */
  FLOAT64(4, 8, "F64"),
  /** For keys and values of a cache, whose scales are in another tensor. */
  INT8(5, 1, "I8"),
  // Weights in blocks: elements of a row that share scales. Kernels take them packed, and only as
  // the weights of a GEMM (docs/quantization.md).
  Q8_0(6, new SymmetricBlocks("Q8_0", 8, 32, null)),
  Q4_0(7, new Q4_0()),
  Q5_0(8, new Q5_0()),
  Q4_K(9, new Q4_K()),
  Q5_K(10, new Q5_K()),
  Q6_K(11, new Q6_K()),
  MXFP4(12, new MXFP4()),
  Q8_64(13, new SymmetricBlocks("Q8_64", -1, 64, "Q8_0")),
  Q8_128(14, new SymmetricBlocks("Q8_128", -1, 128, "Q8_64")),
  Q4_1(15, new Q4_1()),
  Q5_1(16, new Q5_1()),
  Q2_K(17, new Q2_K()),
  Q3_K(18, new Q3_K()),
  IQ4_NL(19, new IQ4_NL()),
  IQ4_XS(20, new IQ4_XS()),
  FP8_128(21, new FP8());

  // The formats that "int8" and "int4" name, and that of embedding and head beside "int4".
  public static final DType INT8_BLOCKS = Q8_0;
  public static final DType INT4_BLOCKS = Q4_0;
  public static final DType INT6_BLOCKS = Q6_K;

  /** The blocks that GPT-OSS stores as two tensors: exponents, and pairs of numbers. */
  public static final DType PAIRED_BLOCKS = MXFP4;

  /** The blocks of floats of eight bits whose scales are in another tensor. */
  public static final DType EIGHT_BIT_FLOATS = FP8_128;

  private final int code;
  private final int bytes;
  private final String safetensorsName;
  private final BlockFormat blocks; // null unless this is blocks

  DType(int code, int bytes, String safetensorsName) {
    this.code = code;
    this.bytes = bytes;
    this.safetensorsName = safetensorsName;
    this.blocks = null;
  }

  DType(int code, BlockFormat blocks) {
    this.code = code;
    this.bytes = blocks.bytes();
    this.safetensorsName = blocks.name();
    this.blocks = blocks;
  }

  /** Parses the dtype of a computation in a configuration. */
  @JsonCreator
  static DType computing(String name) {
    return Arrays.stream(values())
        .filter(type -> type.isFloating() && type.name().equals(name))
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("expected one of [\"FLOAT32\", \"BFLOAT16\"]"));
  }

  public int code() {
    return code;
  }

  /**
   * Size of one element in bytes.
   *
   * @throws UnsupportedOperationException if this {@link #isBlocks}
   */
  public int bytes() {
    if (isBlocks()) {
      throw new UnsupportedOperationException(
          this
              + " holds blocks of "
              + blockElements()
              + " elements, which have no bytes of their own");
    }
    return bytes;
  }

  /** Bytes of {@code count} elements, which are whole blocks. */
  public long bytes(long count) {
    return count / blockElements() * bytes;
  }

  /** Bytes of {@code count} elements, which are whole blocks, packed by a CPU, without padding. */
  public long packedBytes(long count) {
    return isBlocks() ? count / blockElements() * blocks.packedBytes() : bytes(count);
  }

  /** Whether elements are held in blocks that share scales. */
  public boolean isBlocks() {
    return blocks != null;
  }

  /** Whether floats are rounded to these blocks; floats of eight bits are only read. */
  public boolean isRounded() {
    return isBlocks() && this != EIGHT_BIT_FLOATS;
  }

  /** Elements of a block; 1 unless this {@link #isBlocks}. */
  public int blockElements() {
    return isBlocks() ? blocks.elements() : 1;
  }

  /** Bytes of a block, or of an element. */
  public int blockBytes() {
    return bytes;
  }

  /** The format of the blocks; null unless this {@link #isBlocks}. */
  public BlockFormat blocks() {
    return blocks;
  }

  /**
   * These blocks, or smaller ones with at least as many bits that divide rows of {@code columns}
   * elements; empty if no such blocks do.
   */
  public Optional<DType> dividing(long columns) {
    if (columns % blockElements() == 0) {
      return Optional.of(this);
    }
    String smaller = blocks.smaller();
    return smaller == null ? Optional.empty() : valueOf(smaller).dividing(columns);
  }

  /**
   * The blocks of embedding and head in a model of these blocks: they have at least the bits of
   * {@link #INT6_BLOCKS}, because an error there is an error of every token.
   */
  public DType ofVocabulary() {
    int elements = INT6_BLOCKS.blockElements();
    return bytes(elements) < INT6_BLOCKS.blockBytes() ? INT6_BLOCKS : this;
  }

  /** The name of this type in a safetensors header; blocks have GGUF's names where it has them. */
  public String safetensorsName() {
    return safetensorsName;
  }

  /** Whether kernels compute in it. */
  public boolean isFloating() {
    return this == FLOAT32 || this == BFLOAT16;
  }
}
