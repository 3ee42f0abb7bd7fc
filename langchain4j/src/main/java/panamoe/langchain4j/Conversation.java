package panamoe.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.exception.InternalServerException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.LangChain4jException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.internal.Json;
import dev.langchain4j.internal.JsonSchemaElementUtils;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.json.JsonSchemaElement;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import panamoe.api.PanamoeException;
import panamoe.text.ChatOptions;
import panamoe.text.GenerationOptions;
import panamoe.text.GenerationResult;
import panamoe.text.Sampling;
import panamoe.text.TextCompletion;
import panamoe.text.TextRequest;
import panamoe.text.TextService;
import panamoe.text.Tool;
import panamoe.text.ToolCall;
import panamoe.text.ToolChoice;

/** LangChain4j's requests and responses as those of a service. */
record Conversation(
    TextService service,
    String modelName,
    ChatRequestParameters defaults,
    List<ChatModelListener> listeners) {
  private static final int USUAL_TOKENS = 1024;
  private static final String ANY_OBJECT = "{\"type\": \"object\"}";

  TextCompletion submit(ChatRequest request) {
    ChatRequestParameters asked = request.parameters();
    requireName(asked, modelName);
    ChatParameters own = asked instanceof ChatParameters given ? given : ChatParameters.EMPTY;
    return service.submit(
        TextRequest.of(Messages.of(request.messages()), options(asked, own))
            .withDeadline(own.timeout()));
  }

  /** Refuses another model's name. */
  static void requireName(ChatRequestParameters asked, String modelName) {
    if (asked.modelName() != null && !asked.modelName().equals(modelName)) {
      throw new UnsupportedFeatureException(
          "modelName " + asked.modelName() + " is not supported, the service has " + modelName);
    }
  }

  private ChatOptions options(ChatRequestParameters asked, ChatParameters own) {
    Sampling usual = service.model().defaultSampling();
    Sampling.Penalties penalties = usual.penalties();
    Sampling sampling =
        new Sampling(
            or(asked.temperature(), usual.temperature()),
            or(asked.topK(), usual.topK()),
            or(asked.topP(), usual.topP()),
            or(own.minP(), usual.minP()),
            new Sampling.Penalties(
                or(own.repetitionPenalty(), penalties.repetition()),
                or(asked.presencePenalty(), penalties.presence()),
                or(asked.frequencyPenalty(), penalties.frequency())),
            or(own.seed(), usual.seed()));
    GenerationOptions text =
        GenerationOptions.of(or(asked.maxOutputTokens(), USUAL_TOKENS))
            .withSampling(sampling)
            .withStop(asked.stopSequences().toArray(String[]::new))
            .withSchema(schema(asked.responseFormat()));
    ChatOptions options =
        ChatOptions.of(text)
            .withVariables(or(own.variables(), "{}"))
            .withParallel(or(own.parallelToolCalls(), true));
    if (asked.toolChoice() == dev.langchain4j.model.chat.request.ToolChoice.NONE) {
      return options;
    }
    options =
        options.withTools(
            asked.toolSpecifications().stream().map(Conversation::tool).toArray(Tool[]::new));
    return asked.toolChoice() == dev.langchain4j.model.chat.request.ToolChoice.REQUIRED
        ? options.withChoice(ToolChoice.REQUIRED)
        : options;
  }

  private static Tool tool(ToolSpecification tool) {
    return new Tool(
        tool.name(),
        tool.description(),
        tool.parameters() == null ? null : json(tool.parameters()));
  }

  private static String schema(ResponseFormat format) {
    if (format == null || format.type() == ResponseFormatType.TEXT) {
      return null;
    }
    return format.jsonSchema() == null ? ANY_OBJECT : json(format.jsonSchema().rootElement());
  }

  private static String json(JsonSchemaElement schema) {
    return Json.toJson(closed(JsonSchemaElementUtils.toMap(schema)));
  }

  /** The framework loses whether an object may have further properties; here none may. */
  private static Object closed(Object schema) {
    return switch (schema) {
      case Map<?, ?> map -> {
        Map<Object, Object> copy = new LinkedHashMap<>();
        map.forEach((key, value) -> copy.put(key, closed(value)));
        if ("object".equals(map.get("type")) && map.containsKey("properties")) {
          copy.putIfAbsent("additionalProperties", false);
        }
        yield copy;
      }
      case Collection<?> list -> list.stream().map(Conversation::closed).toList();
      default -> schema;
    };
  }

  /**
   * @throws TimeoutException if the deadline passed
   */
  ChatResponse response(GenerationResult result) {
    if (result.finishReason() == panamoe.text.FinishReason.DEADLINE) {
      throw new TimeoutException(
          "the reply had " + result.usage().completion() + " tokens when its time was over");
    }
    panamoe.text.ChatMessage message = result.message();
    return ChatResponse.builder()
        .id(UUID.randomUUID().toString())
        .modelName(modelName)
        .aiMessage(
            AiMessage.builder()
                .text(
                    message.content().isEmpty() && !message.calls().isEmpty()
                        ? null
                        : message.content())
                .thinking(message.reasoning())
                .toolExecutionRequests(message.calls().stream().map(Conversation::call).toList())
                .build())
        .tokenUsage(new TokenUsage(result.usage().prompt(), result.usage().completion()))
        .finishReason(finishReason(result))
        .build();
  }

  static ToolExecutionRequest call(ToolCall call) {
    return ToolExecutionRequest.builder()
        .id(call.id())
        .name(call.name())
        .arguments(call.arguments())
        .build();
  }

  private static FinishReason finishReason(GenerationResult result) {
    return switch (result.finishReason()) {
      case END_OF_TEXT, STOP ->
          result.message().calls().isEmpty() ? FinishReason.STOP : FinishReason.TOOL_EXECUTION;
      case LENGTH, CONTEXT -> FinishReason.LENGTH;
      case DEADLINE, CANCELLED -> FinishReason.OTHER;
    };
  }

  /** Calls the facade, with its exceptions as LangChain4j's. */
  static <T> T translating(Supplier<T> call) {
    try {
      return call.get();
    } catch (RuntimeException e) {
      throw translated(e);
    }
  }

  /** A failure as LangChain4j's. */
  static RuntimeException translated(Throwable failure) {
    return switch (failure) {
      case LangChain4jException e -> e;
      case CompletionException e when e.getCause() != null -> translated(e.getCause());
      case PanamoeException.BadArgument e -> new InvalidRequestException(e.getMessage(), e);
      case PanamoeException.Busy e -> new RateLimitException(e.getMessage(), e);
      case PanamoeException e -> new InternalServerException(e.getMessage(), e);
      case IllegalStateException e -> new InternalServerException(e.getMessage(), e);
      case RuntimeException e -> e;
      case Error e -> throw e;
      default -> new InternalServerException(failure.getMessage(), failure);
    };
  }

  static <T> T or(T asked, T usual) {
    return asked == null ? usual : asked;
  }
}
