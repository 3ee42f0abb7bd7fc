package panamoe.tensor;

import com.fasterxml.jackson.annotation.JsonCreator;
import java.util.Arrays;

/** Element types; {@link #code} is the {@code moe_dtype} of the C ABI. */
public enum DType {
  FLOAT32(0, 4, "F32"),
  BFLOAT16(1, 2, "BF16"),
  INT32(2, 4, "I32"),
  UINT8(3, 1, "U8"),
  /** Sums over many tokens, which ranks add up; nothing is computed in it. */
  FLOAT64(4, 8, "F64"),
  /** Keys and values of a cache, with scales beside them. */
  INT8(5, 1, "I8"),
  // Weights in blocks of elements of a row that share scales: GGUF's, byte for byte, and Q8_0 with
  // more elements a block. Kernels take them packed, and only as the weights of a GEMM
  // (docs/quantization.md).
  Q8_0(6, 32, 34, 34),
  Q4_0(7, 32, 18, 18),
  Q5_0(8, 32, 22, 22),
  Q4_K(9, 256, 144, 148),
  Q5_K(10, 256, 176, 180),
  Q6_K(11, 256, 210, 210),
  MXFP4(12, 32, 17, 18),
  Q8_64(13, 64, 66, 66),
  Q8_128(14, 128, 130, 130);

  private final int code;
  private final int blockElements;
  private final int blockBytes;
  private final int packedBlockBytes;
  private final String safetensorsName;

  DType(int code, int bytes, String safetensorsName) {
    this.code = code;
    this.blockElements = 1;
    this.blockBytes = bytes;
    this.packedBlockBytes = bytes;
    this.safetensorsName = safetensorsName;
  }

  DType(int code, int blockElements, int blockBytes, int packedBlockBytes) {
    this.code = code;
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
    this.packedBlockBytes = packedBlockBytes;
    this.safetensorsName = name();
  }

  /** The dtype of a computation by its name in a configuration. */
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
              + blockElements
              + " elements, which have no bytes of their own");
    }
    return blockBytes;
  }

  /** Bytes of {@code count} elements, which are whole blocks. */
  public long bytes(long count) {
    return count / blockElements * blockBytes;
  }

  /**
   * Bytes of {@code count} elements, which are whole blocks, as a CPU packs them; without what
   * fills up rows.
   */
  public long packedBytes(long count) {
    return count / blockElements * packedBlockBytes;
  }

  /** Whether elements are held in blocks that share scales. */
  public boolean isBlocks() {
    return blockElements > 1;
  }

  /** Elements of a block; 1 unless this {@link #isBlocks}. */
  public int blockElements() {
    return blockElements;
  }

  /** Bytes of a block, or of an element. */
  public int blockBytes() {
    return blockBytes;
  }

  /** The name of this type in a safetensors header; blocks that GGUF has too are named as there. */
  public String safetensorsName() {
    return safetensorsName;
  }

  /** Whether kernels compute in it. */
  public boolean isFloating() {
    return this == FLOAT32 || this == BFLOAT16;
  }
}
