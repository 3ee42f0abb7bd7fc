package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.function.Supplier;
import panamoe.config.ModelConfig;
import panamoe.model.ModelTensors;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * The form in memory of the matrices that quantization rounds, as named on the command line and in
 * JSON.
 */
public enum Quantization {
  INT8(DType.INT8_BLOCKS),
  INT4(DType.INT4_BLOCKS),
  /** The blocks of the model's files. */
  STORED(null),
  /** The common dtype; blocks in files are decoded. */
  NONE(null);

  private final DType dtype;

  Quantization(DType dtype) {
    this.dtype = dtype;
  }

  /**
   * The effect of an option: without one, blocks in the model's files are kept.
   *
   * @param option null if not given
   */
  public static Quantization of(Quantization option, ModelFolder folder) {
    if (option != null) {
      return option;
    }
    return folder.typesAsStored(DType.BFLOAT16).quantized() ? STORED : NONE;
  }

  /**
   * The dtypes of weights.
   *
   * @param compute of activations
   * @param config of the model
   * @param folder of the model; used for STORED only
   */
  public WeightTypes types(DType compute, ModelConfig config, Supplier<ModelFolder> folder) {
    return switch (this) {
      case NONE -> WeightTypes.of(compute);
      case STORED -> folder.get().typesAsStored(compute);
      case INT8, INT4 -> ModelTensors.rounded(config, compute, dtype);
    };
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
