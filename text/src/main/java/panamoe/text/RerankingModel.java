package panamoe.text;

import java.nio.file.Path;
import java.util.List;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.retrieval.RerankForm;
import panamoe.retrieval.TextReranker;

/**
 * Scores how well documents answer a query, by reading each together with the query. Thread-safe:
 * any thread may call any method at any time. Documents of all callers are computed together, on a
 * thread of the model's own; the bits of a score depend on its document and query alone.
 *
 * {@snippet file="panamoe/text/RetrievalExample.java" region="rerank"}
 */
public final class RerankingModel implements AutoCloseable {
  /** What a query asks for, where the caller does not say. */
  public static final String INSTRUCTION = RerankForm.INSTRUCTION;

  private final ReadModel<TextReranker> model;

  private RerankingModel(ReadModel<TextReranker> model) {
    this.model = model;
  }

  /** Opens a model with {@link RetrievalOptions#USUAL}; see below. */
  public static RerankingModel open(Path path) {
    return open(path, RetrievalOptions.USUAL);
  }

  /**
   * Opens a model in the form of Qwen3-Reranker: a folder or a GGUF file. A score is the
   * probability of "yes" as the answer. Other models with its tokens give scores too, which mean
   * little.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if an argument is null, or the model has an
   *     encoder
   * @throws panamoe.api.PanamoeException.BadModel if there is no intact model, it does not fit into
   *     memory, or it is of another form
   * @throws panamoe.api.PanamoeException.DeviceFailed if the device is not available
   */
  public static RerankingModel open(Path path, RetrievalOptions options) {
    return new RerankingModel(
        ReadModel.open(
            path,
            options,
            folder -> {
              RerankForm form = RerankForm.of(folder);
              return (opened, backend, weights) -> new TextReranker(opened, form, backend, weights);
            }));
  }

  /** The loader's warnings, one sentence each; usually empty. */
  public List<String> warnings() {
    return model.warnings();
  }

  /** The longest document in tokens, with its query and the model's form. */
  public int longest() {
    return model.folder().config().context();
  }

  /** The scores of documents with {@link #INSTRUCTION}; see below. */
  public List<Relevance> rerank(String query, List<String> documents) {
    return rerank(query, documents, INSTRUCTION);
  }

  /**
   * The scores of documents, in their order. Waits until all are computed.
   *
   * @param instruction what the query asks for, in a sentence
   * @throws panamoe.api.PanamoeException.BadArgument if an argument is null, the query or a
   *     document is empty, or longer than {@link #longest}, which the message numbers; then nothing
   *     is computed
   * @throws panamoe.api.PanamoeException.Diverged if the model's values are not finite
   * @throws java.util.concurrent.CancellationException if the thread is interrupted; its interrupt
   *     status stays set
   * @throws IllegalStateException if the model is closed, also during the call
   */
  public List<Relevance> rerank(String query, List<String> documents, String instruction) {
    return Failures.translating(
        () -> {
          Argument.notNull("query", query);
          Argument.notNull("documents", documents);
          Argument.notNull("instruction", instruction);
          return model.reader().score(instruction, query, documents).stream()
              .map(each -> new Relevance(each.score(), each.tokens()))
              .toList();
        });
  }

  /** Ends running calls and frees the model and its device. Idempotent. */
  @Override
  public void close() {
    model.close();
  }
}
