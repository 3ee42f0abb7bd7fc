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
  INT8(5, 1, "I8");

  private final int code;
  private final int bytes;
  private final String safetensorsName;

  DType(int code, int bytes, String safetensorsName) {
    this.code = code;
    this.bytes = bytes;
    this.safetensorsName = safetensorsName;
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

  /** Size of one element in bytes. */
  public int bytes() {
    return bytes;
  }

  /** The name of this type in a safetensors header. */
  public String safetensorsName() {
    return safetensorsName;
  }

  /** Whether kernels compute in it. */
  public boolean isFloating() {
    return this == FLOAT32 || this == BFLOAT16;
  }
}
