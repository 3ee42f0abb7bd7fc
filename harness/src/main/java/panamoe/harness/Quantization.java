package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** The blocks that experts' matrices are rounded to, as named on the command line and in JSON. */
public enum Quantization {
  INT8(DType.Q8_0),
  INT4(DType.Q4_0);

  private final DType dtype;

  Quantization(DType dtype) {
    this.dtype = dtype;
  }

  /**
   * The dtypes of weights.
   *
   * @param compute of activations
   * @param experts what experts' matrices are rounded to; null: they are as others
   */
  public static WeightTypes types(DType compute, Quantization experts) {
    return new WeightTypes(compute, experts == null ? compute : experts.dtype);
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
