package panamoe.harness;

import panamoe.harness.help.OptionGroup;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import picocli.CommandLine.Option;

/** The options for the dtypes of weights: {@code @Mixin WeightPrecision weights}. */
@OptionGroup("Types of numbers")
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
          "Matrices: int8 (rounded while they are loaded, to 8.5 bits an element), int4 (4.5, with embedding and head in 6.6), stored (in the blocks of their file, where they can be multiplied by), or none (as --dtype). Default: stored where there are such blocks.")
  private Quantization quantize;

  @Option(
      names = "--activations",
      paramLabel = "TYPE",
      defaultValue = "int8",
      description =
          "What a CPU multiplies weights in blocks by: int8 (activations rounded, every 32 with a scale: fast), or bf16 (activations as they are, in --dtype: the logits of decoded weights, slower). A GPU never rounds them. Default: ${DEFAULT-VALUE}.")
  private Activations activations;

  /** The dtype of activations, and of weights that are not held in blocks. */
  public ComputeType dtype() {
    return dtype;
  }

  /** The form of a model's matrices. */
  public Quantization quantize(ModelFolder folder) {
    return Quantization.of(quantize, folder);
  }

  /** The activations that weights in blocks are multiplied by. */
  public Activations activations() {
    return activations;
  }

  /** The dtypes of a model's weights. */
  public WeightTypes types(ModelFolder folder) {
    return activations.of(quantize(folder).types(dtype.dtype(), () -> folder));
  }
}
