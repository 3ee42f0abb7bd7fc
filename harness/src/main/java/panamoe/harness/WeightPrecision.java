package panamoe.harness;

import panamoe.param.WeightTypes;
import picocli.CommandLine.Option;

/** The options for the dtypes of weights: {@code @Mixin WeightPrecision weights}. */
public final class WeightPrecision {
  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "f32",
      description =
          "f32 or bf16 (half the memory to read for each token). Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Option(
      names = "--quantize",
      paramLabel = "TYPE",
      description =
          "Round the experts' matrices while they are loaded: int8 (8.5 bits an element) or int4 (4.5). Default: as --dtype.")
  private Quantization quantize;

  /** The dtype of activations, and of weights that are not rounded to blocks. */
  public ComputeType dtype() {
    return dtype;
  }

  /** What experts' matrices are rounded to; null: they are as others. */
  public Quantization quantize() {
    return quantize;
  }

  public WeightTypes types() {
    return Quantization.types(dtype.dtype(), quantize);
  }
}
