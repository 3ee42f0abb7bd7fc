package panamoe.spring.ai;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.chat.observation.ChatModelObservationDocumentation;
import org.springframework.ai.chat.observation.DefaultChatModelObservationConvention;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingManager;
import panamoe.text.GenerationResult;
import panamoe.text.TextCompletion;
import panamoe.text.TextPiece;
import panamoe.text.TextRequest;
import panamoe.text.TextService;
import reactor.adapter.JdkFlowAdapter;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A model in this process as Spring AI's chat model. Any thread may ask; replies of all threads are
 * written together, and the tokens of a reply do not depend on the others.
 *
 * <p>It understands text messages, tools, thoughts, and a schema, which a reply keeps to while it
 * is sampled. Tools are executed by Spring AI's {@code ChatClient}, not here. A prompt's {@link
 * PanamoeChatOptions} are taken as they are, like a {@code ChatClient} sends them; other options
 * fill up those of this model. A model's name, if given, must be this model's.
 *
 * <p>The message of a reply has its thoughts as the property "thinking"; a stream's pieces have
 * theirs in the metadata of the generation, under the same name. The finish reason is "STOP",
 * "TOOL_CALLS", "LENGTH", "DEADLINE" or, after the thread was interrupted, "CANCELLED".
 *
 * <p>Exceptions are {@link panamoe.api.PanamoeException}s: {@code BadArgument} for a request that
 * cannot be answered, {@code Busy} if too many requests wait. {@link IllegalArgumentException} is
 * thrown for images and other media, {@link IllegalStateException} by a closed service.
 */
public final class PanamoeChatModel implements ChatModel {
  static final String NAME = "panamoe";
  private static final ChatModelObservationConvention CONVENTION =
      new DefaultChatModelObservationConvention();

  private final TextService service;
  private final PanamoeChatOptions options;
  private final ToolCallingManager tools;
  private final ObservationRegistry observations;
  private final ChatModelObservationConvention convention;

  private PanamoeChatModel(Builder builder) {
    service = Objects.requireNonNull(builder.service, "a chat model needs a service");
    String name = PanamoeChatOptions.or(builder.options.getModel(), NAME);
    options = builder.options.mutate().model(name).build();
    tools = builder.tools;
    observations = builder.observations;
    convention = builder.convention;
    request(new Prompt("", options)); // refuses wrong options
  }

  /** A model over an open service, which whoever opened it closes. */
  public static PanamoeChatModel of(TextService service) {
    return builder().service(service).build();
  }

  /** A builder, which needs a service. */
  public static Builder builder() {
    return new Builder();
  }

  /** The options of a prompt without options. */
  @Override
  public PanamoeChatOptions getOptions() {
    return options;
  }

  @Override
  public ChatResponse call(Prompt prompt) {
    Prompt asked = asked(prompt);
    ChatModelObservationContext context = context(asked, false);
    return observation(context)
        .observe(
            () -> {
              GenerationResult result = service.submit(request(asked)).join();
              ChatResponse response = response(result, result.message().content(), id());
              context.setResponse(response);
              return response;
            });
  }

  /**
   * The pieces of a reply, and at its end a response without text but with its calls, its usage and
   * its finish reason. The request is submitted for each subscriber, whose cancellation ends its
   * reply.
   */
  @Override
  public Flux<ChatResponse> stream(Prompt prompt) {
    return Flux.deferContextual(
        view -> {
          Prompt asked = asked(prompt);
          ChatModelObservationContext context = context(asked, true);
          Observation observation = observation(context);
          observation.parentObservation(
              view.getOrDefault(
                  ObservationThreadLocalAccessor.KEY, observations.getCurrentObservation()));
          observation.start();
          return Flux.defer(() -> pieces(service.submit(request(asked)), context))
              .doOnError(observation::error)
              .doFinally(_ -> observation.stop())
              .contextWrite(inner -> inner.put(ObservationThreadLocalAccessor.KEY, observation));
        });
  }

  private Flux<ChatResponse> pieces(
      TextCompletion completion, ChatModelObservationContext context) {
    String id = id();
    return JdkFlowAdapter.flowPublisherToFlux(completion.pieces())
        .filter(piece -> !piece.content().isEmpty() || !piece.reasoning().isEmpty())
        .map(piece -> response(piece, id))
        .concatWith(
            Mono.fromFuture(completion::result)
                .map(
                    result -> {
                      context.setResponse(response(result, result.message().content(), id));
                      return response(result, "", id);
                    }));
  }

  private Prompt asked(Prompt prompt) {
    PanamoeChatOptions asked =
        switch (prompt.getOptions()) {
          case null -> options;
          case PanamoeChatOptions whole -> whole;
          case ChatOptions other -> options.mutate().combineWith(other.mutate()).build();
        };
    String name = PanamoeChatOptions.or(asked.getModel(), options.getModel());
    if (!name.equals(options.getModel())) {
      throw new IllegalArgumentException(
          "the options ask for the model " + name + ", this one is " + options.getModel());
    }
    return new Prompt(prompt.getInstructions(), asked.mutate().model(name).build());
  }

  private TextRequest request(Prompt asked) {
    return Requests.of(asked, service.model().defaultSampling(), tools::resolveToolDefinitions);
  }

  private ChatModelObservationContext context(Prompt asked, boolean streaming) {
    return ChatModelObservationContext.builder()
        .prompt(asked)
        .provider(NAME)
        .streaming(streaming)
        .build();
  }

  private Observation observation(ChatModelObservationContext context) {
    return ChatModelObservationDocumentation.CHAT_MODEL_OPERATION.observation(
        convention, CONVENTION, () -> context, observations);
  }

  private static String id() {
    return UUID.randomUUID().toString();
  }

  private ChatResponse response(TextPiece piece, String id) {
    ChatGenerationMetadata metadata =
        piece.reasoning().isEmpty()
            ? ChatGenerationMetadata.NULL
            : ChatGenerationMetadata.builder()
                .metadata(Messages.THINKING, piece.reasoning())
                .build();
    return new ChatResponse(
        List.of(new Generation(new AssistantMessage(piece.content()), metadata)),
        ChatResponseMetadata.builder().id(id).model(options.getModel()).build());
  }

  private ChatResponse response(GenerationResult result, String content, String id) {
    String thoughts = result.message().reasoning();
    AssistantMessage message =
        AssistantMessage.builder()
            .content(content)
            .properties(thoughts == null ? Map.of() : Map.of(Messages.THINKING, thoughts))
            .toolCalls(
                result.message().calls().stream()
                    .map(
                        call ->
                            new AssistantMessage.ToolCall(
                                call.id(), "function", call.name(), call.arguments()))
                    .toList())
            .build();
    GenerationResult.Usage usage = result.usage();
    return new ChatResponse(
        List.of(
            new Generation(
                message,
                ChatGenerationMetadata.builder().finishReason(finishReason(result)).build())),
        ChatResponseMetadata.builder()
            .id(id)
            .model(options.getModel())
            .usage(
                new DefaultUsage(
                    usage.prompt(),
                    usage.completion(),
                    usage.prompt() + usage.completion(),
                    usage,
                    (long) usage.cached(),
                    null))
            .build());
  }

  private static String finishReason(GenerationResult result) {
    return switch (result.finishReason()) {
      case END_OF_TEXT, STOP -> result.message().calls().isEmpty() ? "STOP" : "TOOL_CALLS";
      case LENGTH, CONTEXT -> "LENGTH";
      case DEADLINE, CANCELLED -> result.finishReason().name();
    };
  }

  /** Builds a chat model. Not thread-safe. */
  public static final class Builder {
    private TextService service;
    private PanamoeChatOptions options = PanamoeChatOptions.builder().build();
    private ToolCallingManager tools = ToolCallingManager.builder().build();
    private ObservationRegistry observations = ObservationRegistry.NOOP;
    private ChatModelObservationConvention convention = CONVENTION;

    private Builder() {}

    /** The service that writes replies. The caller closes it. */
    public Builder service(TextService value) {
      service = value;
      return this;
    }

    /**
     * Options of prompts that have none. Their model is the name of this model, "panamoe" by
     * default. Sampling that is set nowhere is the publisher's; a reply has up to 1024 tokens.
     */
    public Builder options(PanamoeChatOptions value) {
      options = value;
      return this;
    }

    /** Knows the tools of options. */
    public Builder toolCallingManager(ToolCallingManager value) {
      tools = value;
      return this;
    }

    /** Where requests are observed, and how they are named there. */
    public Builder observations(
        ObservationRegistry registry, ChatModelObservationConvention names) {
      observations = registry;
      convention = PanamoeChatOptions.or(names, CONVENTION);
      return this;
    }

    /**
     * Builds it.
     *
     * @throws NullPointerException without a service
     * @throws panamoe.api.PanamoeException.BadArgument if an option is out of its range
     */
    public PanamoeChatModel build() {
      return new PanamoeChatModel(this);
    }
  }
}
