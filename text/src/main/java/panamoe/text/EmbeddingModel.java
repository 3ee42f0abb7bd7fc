package panamoe.text;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.open.EmbeddingForm;
import panamoe.retrieval.TextEmbedder;

/**
 * Turns texts into vectors, whose inner product measures how alike two texts are. Thread-safe: any
 * thread may call any method at any time. Texts of all callers are computed together, on a thread
 * of the model's own; the bits of a vector depend on its text alone.
 *
 * {@snippet file="panamoe/text/RetrievalExample.java" region="embed"}
 */
public final class EmbeddingModel implements AutoCloseable {
  private final ReadModel<TextEmbedder> model;

  private EmbeddingModel(ReadModel<TextEmbedder> model) {
    this.model = model;
  }

  /** Opens a model with {@link RetrievalOptions#USUAL}; see below. */
  public static EmbeddingModel open(Path path) {
    return open(path, RetrievalOptions.USUAL);
  }

  /**
   * Opens a model: any that {@link MoeModel#open} reads, without an encoder. A folder in the layout
   * of sentence-transformers says how its vectors are pooled and whether they are normalised, and
   * has prompts; a GGUF file says how they are pooled. Others are pooled by the mean of the last
   * hidden states, and normalised.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if an argument is null, or the model has an
   *     encoder
   * @throws panamoe.api.PanamoeException.BadModel if there is no intact model, it does not fit into
   *     memory, has no tokenizer, or its vectors are made in a way that is not supported
   * @throws panamoe.api.PanamoeException.DeviceFailed if the device is not available
   */
  public static EmbeddingModel open(Path path, RetrievalOptions options) {
    return new EmbeddingModel(
        ReadModel.open(
            path,
            options,
            folder -> {
              EmbeddingForm form = EmbeddingForm.of(folder);
              folder.tokenizer(); // refuses a model without one, before weights are read
              return (opened, backend, weights) -> new TextEmbedder(opened, form, backend, weights);
            }));
  }

  /** The loader's warnings, one sentence each; usually empty. */
  public List<String> warnings() {
    return model.warnings();
  }

  /** Numbers of a whole vector. */
  public int dimensions() {
    return model.reader().dimensions();
  }

  /** The longest text in tokens, with those around it. */
  public int longest() {
    return model.folder().config().context();
  }

  /** The model's prompts, which begin a text for a task, by name, such as "query". */
  public Map<String, String> prompts() {
    return Map.copyOf(model.reader().form().prompts());
  }

  /** The tokens of a text, with those around it. */
  public int countTokens(String text) {
    return Failures.translating(
        () -> model.reader().tokens("", Argument.notNull("text", text)).length);
  }

  /** The vector of a text, with the model's usual prompt; see {@link #embed(List)}. */
  public float[] embed(String text) {
    return embed(List.of(Failures.translating(() -> Argument.notNull("text", text))))
        .getFirst()
        .vector();
  }

  /** The vectors of texts with {@link EmbeddingOptions#USUAL}; see below. */
  public List<Embedding> embed(List<String> texts) {
    return embed(texts, EmbeddingOptions.USUAL);
  }

  /**
   * The vectors of texts, in their order. Waits until all are computed.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if a text is null, empty or longer than {@link
   *     #longest}, which the message numbers, the model has no such prompt, or the dimensions are
   *     more than {@link #dimensions}; then nothing is computed
   * @throws panamoe.api.PanamoeException.Diverged if the model's values are not finite
   * @throws java.util.concurrent.CancellationException if the thread is interrupted; its interrupt
   *     status stays set
   * @throws IllegalStateException if the model is closed, also during the call
   */
  public List<Embedding> embed(List<String> texts, EmbeddingOptions options) {
    return Failures.translating(
        () -> {
          Argument.notNull("texts", texts);
          Argument.notNull("options", options);
          TextEmbedder embedder = model.reader();
          String prompt =
              options.prompt() == null
                  ? embedder.form().prompt(options.promptName())
                  : options.prompt();
          int dimensions = options.dimensions() == 0 ? embedder.dimensions() : options.dimensions();
          return embedder.embed(texts, prompt, dimensions).stream()
              .map(each -> new Embedding(each.vector(), each.tokens()))
              .toList();
        });
  }

  /** Ends running calls and frees the model and its device. Idempotent. */
  @Override
  public void close() {
    model.close();
  }
}
