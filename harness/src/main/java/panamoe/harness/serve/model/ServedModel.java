package panamoe.harness.serve.model;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.ModelConfig;
import panamoe.conversation.ChatFormat;
import panamoe.data.Tokenizer;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;
import panamoe.open.SamplingDefaults;
import panamoe.retrieval.RerankForm;

/**
 * The model of a server.
 *
 * @param name its id in the API
 * @param context length in tokens
 * @param fingerprint of everything that results depend on in addition to requests: weights, dtype,
 *     tokenizer, device
 * @param created time of loading, in seconds since 1970
 * @param constraints of its tokenizer
 * @param defaults for requests
 * @param uses what it serves
 * @param chat its chat format; the form of calls applies to all constrained output
 */
public record ServedModel(
    String name,
    int context,
    String fingerprint,
    long created,
    Constraints constraints,
    Defaults defaults,
    Uses uses,
    ChatFormat chat) {

  /**
   * Defaults for requests.
   *
   * @param seeds the next default seed
   */
  public record Defaults(AtomicLong seeds, SamplingDefaults sampling) {}

  /**
   * What a model serves, like the commands {@code generate}, {@code chat}, {@code embed} and {@code
   * rerank}.
   *
   * @param writes whether it completes prompts
   * @param talks whether it has conversations: a model with an encoder has none
   * @param width numbers of a text's vector
   * @param embedding how its rows become vectors; null if it has none
   * @param rerank how it is asked about a document; null if it cannot be
   * @param adapters their names, by which requests choose one
   */
  public record Uses(
      boolean writes,
      boolean talks,
      int width,
      EmbeddingForm embedding,
      RerankForm rerank,
      List<String> adapters) {
    /** Completions and conversations alone. */
    public static final Uses WRITES = new Uses(true, true, 0, null, null, List.of());

    /** With adapters. */
    public Uses with(List<String> names) {
      return new Uses(writes, talks, width, embedding, rerank, names);
    }

    /**
     * @throws IllegalArgumentException if the model serves nothing
     */
    public static Uses of(ModelFolder folder) {
      ModelConfig config = folder.config();
      boolean reads = config.encoder() == null;
      boolean writes = config.head().labels() == null;
      EmbeddingForm embedding = reads ? orNull(() -> EmbeddingForm.of(folder)) : null;
      RerankForm rerank = reads ? orNull(() -> RerankForm.of(folder)) : null;
      if (embedding == null && rerank == null) {
        config.requireGeneration();
      }
      return new Uses(writes, reads && writes, config.hidden(), embedding, rerank, List.of());
    }

    private static <T> T orNull(Supplier<T> form) {
      try {
        return form.get();
      } catch (CheckpointException _) {
        return null; // a model of another kind
      }
    }
  }

  /**
   * The model that a request names, or this one: the name is optional.
   *
   * @throws ApiError if there is no such model or adapter
   */
  public String requireNamed(Fields fields) {
    return requireName(fields.text("model", name));
  }

  /**
   * @throws ApiError if there is no such model or adapter
   */
  public String requireName(String asked) {
    if (!names().contains(asked)) {
      throw ApiError.noModel(asked, String.join(", ", names()));
    }
    return asked;
  }

  /** The adapter that a request chooses; empty for none. */
  public String adapter(Fields fields) {
    String asked = requireNamed(fields);
    return asked.equals(name) ? "" : asked;
  }

  /** The model's name, and those of its adapters. */
  public List<String> names() {
    List<String> names = new ArrayList<>(uses.adapters);
    names.addFirst(name);
    return names;
  }

  /**
   * @throws ApiError if the model has no conversations
   */
  public ChatFormat requireChat() {
    if (!uses.talks) {
      throw ApiError.unsupported(
          uses.writes
              ? "the model has an encoder: it takes one prompt, not a conversation; use /v1/completions"
              : "the model only reads texts: use /v1/embeddings or /v1/rerank",
          "messages");
    }
    return chat;
  }

  /**
   * @throws ApiError if texts have no vectors
   */
  public EmbeddingForm requireEmbedding() {
    if (uses.embedding == null) {
      throw ApiError.unsupported(
          "the model makes no vectors of texts: it has an encoder, a head of labels, or another pooling",
          "input");
    }
    return uses.embedding;
  }

  /**
   * @throws ApiError if it cannot be asked about documents
   */
  public RerankForm requireRerank() {
    if (uses.rerank == null) {
      throw ApiError.unsupported(
          "the model scores no documents: it is not in the form of Qwen3-Reranker", "documents");
    }
    return uses.rerank;
  }

  public Tokenizer tokenizer() {
    return chat.tokenizer();
  }

  public int vocabulary() {
    return tokenizer().vocabularySize();
  }
}
