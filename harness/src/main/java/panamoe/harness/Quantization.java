package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.tensor.DType;

/** The blocks that experts' matrices are rounded to, as named on the command line and in JSON. */
public enum Quantization {
  INT8(DType.Q8_0),
  INT4(DType.Q4_0);

  private final DType dtype;

  Quantization(DType dtype) {
    this.dtype = dtype;
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
