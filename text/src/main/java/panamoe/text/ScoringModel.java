package panamoe.text;

import java.nio.file.Path;
import java.util.List;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.retrieval.TextScorer;

/**
 * Scores choices by their likelihood after a prompt. Thread-safe: any thread may call any method at
 * any time. Choices of all callers are computed together, on a thread of the model's own; the bits
 * of a score depend on its choice and prompt alone.
 *
 * {@snippet file="panamoe/text/RetrievalExample.java" region="score"}
 */
public final class ScoringModel implements AutoCloseable {
  private final ReadModel<TextScorer> model;

  private ScoringModel(ReadModel<TextScorer> model) {
    this.model = model;
  }

  /** Opens a model with {@link RetrievalOptions#USUAL}; see below. */
  public static ScoringModel open(Path path) {
    return open(path, RetrievalOptions.USUAL);
  }

  /**
   * Opens a model: any that {@link MoeModel#open} reads, without an encoder.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if an argument is null, or the model has an
   *     encoder
   * @throws panamoe.api.PanamoeException.BadModel if there is no intact model, it does not fit into
   *     memory, or has no tokenizer
   * @throws panamoe.api.PanamoeException.DeviceFailed if the device is not available
   */
  public static ScoringModel open(Path path, RetrievalOptions options) {
    return new ScoringModel(
        ReadModel.open(
            path,
            options,
            folder -> {
              folder.tokenizer(); // refuses a model without one, before weights are read
              return TextScorer::new;
            }));
  }

  /** The loader's warnings, one sentence each; usually empty. */
  public List<String> warnings() {
    return model.warnings();
  }

  /** The longest choice in tokens, with its prompt. */
  public int longest() {
    return model.folder().config().context();
  }

  /**
   * The log-likelihood of each choice after the prompt, in nats, summed over its tokens: divide by
   * a choice's bytes to compare choices of different lengths. A prompt that is too long loses its
   * beginning; an empty one means that a choice begins a document. Waits until all are computed.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if an argument is null, or a choice is null,
   *     empty or longer than {@link #longest}, which the message numbers; then nothing is computed
   * @throws panamoe.api.PanamoeException.Diverged if the model's values are not finite
   * @throws java.util.concurrent.CancellationException if the thread is interrupted; its interrupt
   *     status stays set
   * @throws IllegalStateException if the model is closed, also during the call
   */
  public double[] logLikelihoods(String prompt, List<String> choices) {
    return Failures.translating(
        () ->
            model
                .reader()
                .score(Argument.notNull("prompt", prompt), Argument.notNull("choices", choices)));
  }

  /** Ends running calls and frees the model and its device. Idempotent. */
  @Override
  public void close() {
    model.close();
  }
}
