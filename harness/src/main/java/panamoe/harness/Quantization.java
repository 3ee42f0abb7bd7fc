package panamoe.harness;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.function.Supplier;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** The form of matrices in memory, as named on the command line and in JSON. */
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
   * @param folder of the model; used for STORED only
   */
  public WeightTypes types(DType compute, Supplier<ModelFolder> folder) {
    return switch (this) {
      case NONE -> WeightTypes.of(compute);
      case STORED -> folder.get().typesAsStored(compute);
      case INT8, INT4 -> new WeightTypes(compute, dtype);
    };
  }

  /** The dtype of matrices as {@link panamoe.open.AdaptedBase} names it. */
  public DType matrices() {
    return this == NONE ? DType.FLOAT32 : dtype;
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
