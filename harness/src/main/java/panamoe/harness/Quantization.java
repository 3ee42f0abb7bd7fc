package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.function.Supplier;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** How experts' matrices are held, as named on the command line and in JSON. */
public enum Quantization {
  INT8(DType.INT8_BLOCKS),
  INT4(DType.INT4_BLOCKS),
  /** In the blocks of the model's files. */
  STORED(null),
  /** As others, decoded where files have them in blocks. */
  NONE(null);

  private final DType dtype;

  Quantization(DType dtype) {
    this.dtype = dtype;
  }

  /**
   * What an option means for a model: without one, blocks that its files store are kept.
   *
   * @param option null where it was not given
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
   * @param folder of the model; asked for STORED alone
   */
  public WeightTypes types(DType compute, Supplier<ModelFolder> folder) {
    return switch (this) {
      case NONE -> WeightTypes.of(compute);
      case STORED -> folder.get().typesAsStored(compute);
      case INT8, INT4 -> new WeightTypes(compute, dtype);
    };
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
