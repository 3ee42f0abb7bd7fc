package panamoe.text;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.open.EmbeddingForm;

/**
 * Options of vectors.
 *
 * @param promptName the name of one of {@link EmbeddingModel#prompts}; null for the model's usual
 *     one, or none
 * @param prompt a text that begins each text; null for that of {@code promptName}
 * @param dimensions how many of a vector's first numbers are kept, for models that are trained for
 *     it (Matryoshka); 0 for all
 */
public record EmbeddingOptions(String promptName, String prompt, int dimensions) {
  /** The model's usual prompt, all dimensions. */
  public static final EmbeddingOptions USUAL = new EmbeddingOptions(null, null, 0);

  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the dimensions are negative
   */
  public EmbeddingOptions {
    Failures.run(
        () -> Argument.require(dimensions >= 0, "dimensions", dimensions, "0 (all) or more"));
  }

  /** These options with the model's prompt of that name, such as "query". */
  public EmbeddingOptions withPromptName(String name) {
    return new EmbeddingOptions(name, null, dimensions);
  }

  /** These options with another prompt; "" for none. */
  public EmbeddingOptions withPrompt(String text) {
    return new EmbeddingOptions(null, text, dimensions);
  }

  /** These options with an instruction in the form of Qwen3-Embedding, for queries. */
  public EmbeddingOptions withInstruction(String task) {
    return withPrompt(EmbeddingForm.instruct(task));
  }

  /** These options with {@code value} dimensions. */
  public EmbeddingOptions withDimensions(int value) {
    return new EmbeddingOptions(promptName, prompt, value);
  }
}
