package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.tensor.DType;

/** The dtype of weights and activations, as named on the command line and in JSON. */
public enum ComputeType {
  F32(DType.FLOAT32),
  BF16(DType.BFLOAT16);

  private final DType dtype;

  ComputeType(DType dtype) {
    this.dtype = dtype;
  }

  /**
   * The name of a dtype.
   *
   * @throws IllegalArgumentException if weights cannot have it
   */
  public static ComputeType of(DType dtype) {
    for (ComputeType type : values()) {
      if (type.dtype == dtype) {
        return type;
      }
    }
    throw new IllegalArgumentException("weights cannot be " + dtype);
  }

  public DType dtype() {
    return dtype;
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
