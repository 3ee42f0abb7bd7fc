package panamoe.langchain4j;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.message.ContentType;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.listener.EmbeddingModelListener;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingInputType;
import dev.langchain4j.model.embedding.request.EmbeddingParameter;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.request.EmbeddingRequestParameters;
import dev.langchain4j.model.embedding.response.EmbeddingResponse;
import dev.langchain4j.model.output.TokenUsage;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import panamoe.text.EmbeddingOptions;

/**
 * An embedding model in this process as LangChain4j's. Thread-safe. A request may ask for fewer
 * dimensions, and for the prompt of a query or a document, if the model has prompts named "query"
 * and "document"; a request that asks for neither gets the model's usual prompt.
 */
public final class PanamoeEmbeddingModel implements EmbeddingModel {
  private final panamoe.text.EmbeddingModel model;
  private final String modelName;
  private final List<EmbeddingModelListener> listeners;

  private PanamoeEmbeddingModel(
      panamoe.text.EmbeddingModel model, String modelName, List<EmbeddingModelListener> listeners) {
    this.model = model;
    this.modelName = modelName;
    this.listeners = listeners;
  }

  /** Over an open model, which whoever opened it closes. */
  public static PanamoeEmbeddingModel of(panamoe.text.EmbeddingModel model) {
    return of(model, "panamoe", List.of());
  }

  /**
   * With a name, for responses and listeners.
   *
   * @throws NullPointerException if an argument is null
   */
  public static PanamoeEmbeddingModel of(
      panamoe.text.EmbeddingModel model, String modelName, List<EmbeddingModelListener> listeners) {
    return new PanamoeEmbeddingModel(model, modelName, List.copyOf(listeners));
  }

  /**
   * The vectors of texts, in their order.
   *
   * @throws dev.langchain4j.exception.InvalidRequestException if a text is empty or too long, or
   *     the dimensions are too many
   * @throws UnsupportedFeatureException if an input is not a text, or the model has no such prompt
   */
  @Override
  public EmbeddingResponse doEmbed(EmbeddingRequest request) {
    List<String> texts = request.inputs().stream().map(EmbeddingInput::text).toList();
    EmbeddingOptions options = EmbeddingOptions.USUAL;
    if (request.inputType() != null) {
      options = options.withPromptName(prompt(request.inputType()));
    }
    if (request.dimensions() != null) {
      options = options.withDimensions(request.dimensions());
    }
    EmbeddingOptions asked = options;
    List<panamoe.text.Embedding> vectors =
        Conversation.translating(() -> model.embed(texts, asked));
    int tokens = vectors.stream().mapToInt(panamoe.text.Embedding::tokens).sum();
    return EmbeddingResponse.builder()
        .embeddings(vectors.stream().map(each -> Embedding.from(each.vector())).toList())
        .modelName(modelName)
        .tokenUsage(new TokenUsage(tokens))
        .build();
  }

  private String prompt(EmbeddingInputType type) {
    String name = type.name().toLowerCase(Locale.ROOT);
    if (!model.prompts().containsKey(name)) {
      throw new UnsupportedFeatureException(
          "the model has no prompt for a " + name + ", its prompts: " + model.prompts().keySet());
    }
    return name;
  }

  @Override
  public Set<EmbeddingParameter<?>> supportedParameters() {
    return Set.of(EmbeddingRequestParameters.DIMENSIONS, EmbeddingRequestParameters.INPUT_TYPE);
  }

  @Override
  public Set<ContentType> supportedContentTypes() {
    return Set.of(ContentType.TEXT);
  }

  @Override
  public List<EmbeddingModelListener> listeners() {
    return listeners;
  }

  @Override
  public String modelName() {
    return modelName;
  }

  @Override
  public int dimension() {
    return model.dimensions();
  }
}
