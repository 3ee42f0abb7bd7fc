package panamoe.spring.ai;

import io.micrometer.observation.ObservationRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.BatchingStrategy;
import org.springframework.ai.embedding.Embedding;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.embedding.EmbeddingResponseMetadata;
import org.springframework.ai.embedding.observation.DefaultEmbeddingModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationContext;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationDocumentation;
import panamoe.text.EmbeddingOptions;

/**
 * An embedding model in this process as Spring AI's. Thread-safe. Vector stores embed a query as a
 * text and their content as documents: each may have options of its own, such as the model's prompt
 * for it. Texts are batched by the model, so batching strategies are not asked.
 *
 * <p>Exceptions are those of {@link panamoe.text.EmbeddingModel#embed(List, EmbeddingOptions)}.
 */
public final class PanamoeEmbeddingModel implements EmbeddingModel {
  private static final EmbeddingModelObservationConvention CONVENTION =
      new DefaultEmbeddingModelObservationConvention();

  private final panamoe.text.EmbeddingModel model;
  private final String name;
  private final EmbeddingOptions texts;
  private final EmbeddingOptions documents;
  private final ObservationRegistry observations;
  private final EmbeddingModelObservationConvention convention;

  private PanamoeEmbeddingModel(Builder builder) {
    model = Objects.requireNonNull(builder.model, "an embedding model needs an open model");
    name = builder.name;
    texts = builder.texts;
    documents = builder.documents;
    observations = builder.observations;
    convention = builder.convention;
  }

  /** Over an open model, which whoever opened it closes. */
  public static PanamoeEmbeddingModel of(panamoe.text.EmbeddingModel model) {
    return builder().model(model).build();
  }

  /** A builder, which needs an open model. */
  public static Builder builder() {
    return new Builder();
  }

  /** The vectors of texts, in their order. The request may ask for fewer dimensions. */
  @Override
  public EmbeddingResponse call(EmbeddingRequest request) {
    return embed(request, texts);
  }

  @Override
  public float[] embed(Document document) {
    return embed(List.of(document), null, null).getFirst();
  }

  @Override
  public List<float[]> embed(
      List<Document> contents,
      org.springframework.ai.embedding.EmbeddingOptions options,
      BatchingStrategy batching) {
    List<String> all = contents.stream().map(this::getEmbeddingContent).toList();
    return embed(new EmbeddingRequest(all, options), documents).getResults().stream()
        .map(Embedding::getOutput)
        .toList();
  }

  @Override
  public int dimensions() {
    return texts.dimensions() == 0 ? model.dimensions() : texts.dimensions();
  }

  private EmbeddingResponse embed(EmbeddingRequest request, EmbeddingOptions usual) {
    var given = request.getOptions();
    String asked = PanamoeChatOptions.or(given == null ? null : given.getModel(), name);
    if (!asked.equals(name)) {
      throw new IllegalArgumentException(
          "the options ask for the model " + asked + ", this one is " + name);
    }
    Integer fewer = given == null ? null : given.getDimensions();
    EmbeddingOptions options = fewer == null ? usual : usual.withDimensions(fewer);
    EmbeddingModelObservationContext context =
        EmbeddingModelObservationContext.builder()
            .embeddingRequest(named(request.getInstructions(), fewer))
            .provider(PanamoeChatModel.NAME)
            .build();
    return EmbeddingModelObservationDocumentation.EMBEDDING_MODEL_OPERATION
        .observation(convention, CONVENTION, () -> context, observations)
        .observe(
            () -> {
              EmbeddingResponse response =
                  response(model.embed(request.getInstructions(), options));
              context.setResponse(response);
              return response;
            });
  }

  private EmbeddingRequest named(List<String> all, Integer dimensions) {
    return new EmbeddingRequest(
        all,
        org.springframework.ai.embedding.EmbeddingOptions.builder()
            .model(name)
            .dimensions(dimensions)
            .build());
  }

  private EmbeddingResponse response(List<panamoe.text.Embedding> vectors) {
    List<Embedding> all = new ArrayList<>();
    int tokens = 0;
    for (panamoe.text.Embedding each : vectors) {
      all.add(new Embedding(each.vector(), all.size()));
      tokens += each.tokens();
    }
    return new EmbeddingResponse(
        all, new EmbeddingResponseMetadata(name, new DefaultUsage(tokens, 0)));
  }

  /** Builds an embedding model. Not thread-safe. */
  public static final class Builder {
    private panamoe.text.EmbeddingModel model;
    private String name = PanamoeChatModel.NAME;
    private EmbeddingOptions texts = EmbeddingOptions.USUAL;
    private EmbeddingOptions documents = EmbeddingOptions.USUAL;
    private ObservationRegistry observations = ObservationRegistry.NOOP;
    private EmbeddingModelObservationConvention convention = CONVENTION;

    private Builder() {}

    /** The open model. The caller closes it. */
    public Builder model(panamoe.text.EmbeddingModel value) {
      model = value;
      return this;
    }

    /** The name in responses and observations; "panamoe" by default. */
    public Builder name(String value) {
      name = value;
      return this;
    }

    /** For texts, such as queries. */
    public Builder texts(EmbeddingOptions value) {
      texts = value;
      return this;
    }

    /** For documents. */
    public Builder documents(EmbeddingOptions value) {
      documents = value;
      return this;
    }

    /** Where requests are observed, and how they are named there. */
    public Builder observations(
        ObservationRegistry registry, EmbeddingModelObservationConvention names) {
      observations = registry;
      convention = PanamoeChatOptions.or(names, CONVENTION);
      return this;
    }

    /**
     * Builds it.
     *
     * @throws NullPointerException without a model
     */
    public PanamoeEmbeddingModel build() {
      return new PanamoeEmbeddingModel(this);
    }
  }
}
