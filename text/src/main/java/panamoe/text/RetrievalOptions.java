package panamoe.text;

import panamoe.api.Precision;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * Options for opening an {@link EmbeddingModel} or a {@link RerankingModel}.
 *
 * @param device like that of {@link panamoe.api.Device#open}; the model has it alone
 * @param threads of the device; 0 for one per processor. Results do not depend on it
 * @param precision of activations, and of weights that are not in blocks
 * @param weights the form of matrices in memory
 * @param longest tokens of the longest text that can be read, with those around it; memory for its
 *     keys and values is allocated. At most the model's context, which is taken if it is smaller
 */
public record RetrievalOptions(
    String device, int threads, Precision precision, ModelOptions.Weights weights, int longest) {
  /** The fastest device with all its threads, FLOAT32, weights as stored, 8192 tokens. */
  public static final RetrievalOptions USUAL =
      new RetrievalOptions("auto", 0, Precision.FLOAT32, ModelOptions.Weights.STORED, 8192);

  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if one is null, or the length less than 1
   */
  public RetrievalOptions {
    Failures.run(
        () -> {
          Argument.notNull("device", device);
          Argument.notNull("precision", precision);
          Argument.notNull("weights", weights);
          Argument.require(longest >= 1, "longest", longest, "1 or more");
        });
  }

  /** These options with another device. */
  public RetrievalOptions withDevice(String value) {
    return new RetrievalOptions(value, threads, precision, weights, longest);
  }

  /** These options with {@code value} threads. */
  public RetrievalOptions withThreads(int value) {
    return new RetrievalOptions(device, value, precision, weights, longest);
  }

  /** These options with another precision. */
  public RetrievalOptions withPrecision(Precision value) {
    return new RetrievalOptions(device, threads, value, weights, longest);
  }

  /** These options with another form of matrices. */
  public RetrievalOptions withWeights(ModelOptions.Weights value) {
    return new RetrievalOptions(device, threads, precision, value, longest);
  }

  /** These options with another longest text. */
  public RetrievalOptions withLongest(int value) {
    return new RetrievalOptions(device, threads, precision, weights, value);
  }
}
