package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.function.Supplier;
import panamoe.engine.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** The blocks that experts' matrices are held in, as named on the command line and in JSON. */
public enum Quantization {
  INT8(DType.Q8_0),
  INT4(DType.Q4_0),
  /** Those of the model's files. */
  STORED(null);

  private final DType dtype;

  Quantization(DType dtype) {
    this.dtype = dtype;
  }

  /**
   * The dtypes of weights.
   *
   * @param compute of activations
   * @param experts what experts' matrices are held in; null: they are as others
   * @param folder of the model; asked for STORED alone
   */
  public static WeightTypes types(
      DType compute, Quantization experts, Supplier<ModelFolder> folder) {
    return switch (experts) {
      case null -> WeightTypes.of(compute);
      case STORED -> folder.get().typesAsStored(compute);
      case INT8, INT4 -> new WeightTypes(compute, experts.dtype);
    };
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
