package panamoe.harness;

import panamoe.harness.help.OptionGroup;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options for the dtypes of a model in inference: {@code @Mixin Precision precision}. */
@OptionGroup("Types of numbers")
public final class Precision {
  @Mixin private WeightPrecision weights;

  @Option(
      names = "--kv",
      paramLabel = "TYPE",
      defaultValue = "dtype",
      description =
          "Keys and values: dtype (as --dtype), or int8 (bytes with a scale for each token and head: less memory, and nearly the same probabilities). Default: ${DEFAULT-VALUE}.")
  private KeyValueType keyValues;

  public WeightPrecision weights() {
    return weights;
  }

  /** The dtype of activations. */
  public ComputeType dtype() {
    return weights.dtype();
  }

  /** The dtype of keys and values. */
  public KeyValueType keyValues() {
    return keyValues;
  }
}
