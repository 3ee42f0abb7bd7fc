package panamoe.harness;

import picocli.CommandLine.Option;

/** The options for the dtypes of a model that writes texts: {@code @Mixin Precision precision}. */
public final class Precision {
  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "f32",
      description =
          "f32 or bf16 (half the memory to read for each token). Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Option(
      names = "--kv",
      paramLabel = "TYPE",
      defaultValue = "dtype",
      description =
          "Keys and values: dtype (as --dtype), or int8 (bytes with a scale for each token and head: less memory, and nearly the same probabilities). Default: ${DEFAULT-VALUE}.")
  private KeyValueType keyValues;

  /** The dtype of weights and activations. */
  public ComputeType dtype() {
    return dtype;
  }

  /** The dtype of keys and values. */
  public KeyValueType keyValues() {
    return keyValues;
  }
}
