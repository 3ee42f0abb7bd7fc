package panamoe.harness;

import panamoe.open.ModelFolder;
import picocli.CommandLine.Option;

/** The option of a shorter context: {@code @Mixin ContextOption context}. */
public final class ContextOption {
  @Option(
      names = "--context",
      paramLabel = "N",
      description =
          "Tokens of the longest sequence, at most the model's, which is the default. With LongRoPE, a context no longer"
              + " than in training takes the short divisors (docs/released-models.md); dynamic scaling stretches by it too.")
  private Integer tokens;

  /**
   * The model with that context.
   *
   * @throws IllegalArgumentException if it is not 1 to the model's
   */
  public ModelFolder of(ModelFolder folder) {
    return tokens == null ? folder : folder.withContext(tokens);
  }
}
