import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.text.ChatMessage;
import panamoe.text.ChatOptions;
import panamoe.text.ChatPiece;
import panamoe.text.ChatReply;
import panamoe.text.ChatSession;
import panamoe.text.GenerationOptions;
import panamoe.text.GenerationResult;
import panamoe.text.ModelOptions;
import panamoe.text.MoeModel;
import panamoe.text.Sampling;

/**
 * A model in this process as LangChain4j's chat model, and by {@link #streaming} as the one that
 * streams. Any thread may ask; texts are written one after the other. A stream is written on a
 * thread of its own, which calls the handler. Tools and response formats are refused.
 */
public final class PanamoeChatModel implements ChatModel, AutoCloseable {
  private static final int USUAL_TOKENS = 256;

  private final Device device;
  private final MoeModel model;

  /** Opens what {@link MoeModel#open} opens. */
  public PanamoeChatModel(Path path, ModelOptions options) {
    device = Device.open("auto", 0);
    try {
      model = MoeModel.open(device, path, options);
    } catch (RuntimeException | Error e) {
      device.close();
      throw e;
    }
  }

  @Override
  public ChatResponse doChat(ChatRequest request) {
    try {
      ChatOptions options = options(request.parameters());
      synchronized (device) {
        return response(model.chat(messages(request), options));
      }
    } catch (PanamoeException.BadArgument e) {
      throw new InvalidRequestException(e.getMessage(), e);
    }
  }

  /** The same model, answering piece by piece. It is open as long as this one. */
  public StreamingChatModel streaming() {
    return new StreamingChatModel() {
      @Override
      public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
        Thread.ofPlatform().name("chat").start(() -> stream(request, handler));
      }
    };
  }

  private void stream(ChatRequest request, StreamingChatResponseHandler handler) {
    try {
      ChatOptions options = options(request.parameters());
      synchronized (device) {
        try (ChatSession session = model.beginChat(messages(request), options)) {
          Handle handle = new Handle(session);
          for (Optional<ChatPiece> piece = session.next();
              piece.isPresent() && !handle.isCancelled();
              piece = session.next()) {
            if (!piece.get().content().isEmpty()) {
              handler.onPartialResponse(
                  new PartialResponse(piece.get().content()), new PartialResponseContext(handle));
            }
          }
          if (!handle.isCancelled()) { // nothing follows what was cancelled
            handler.onCompleteResponse(response(session.result()));
          }
        }
      }
    } catch (PanamoeException.BadArgument e) {
      handler.onError(new InvalidRequestException(e.getMessage(), e));
    } catch (Throwable e) { // an Error too: the caller waits for one of the handler's last calls
      handler.onError(e);
    }
  }

  private static final class Handle implements StreamingHandle {
    private final ChatSession session;
    private volatile boolean cancelled;

    Handle(ChatSession session) {
      this.session = session;
    }

    @Override
    public void cancel() {
      cancelled = true;
      session.cancel();
    }

    @Override
    public boolean isCancelled() {
      return cancelled;
    }
  }

  private static List<ChatMessage> messages(ChatRequest request) {
    return request.messages().stream().map(PanamoeChatModel::message).toList();
  }

  private static ChatMessage message(dev.langchain4j.data.message.ChatMessage message) {
    return switch (message) {
      case SystemMessage system -> ChatMessage.system(system.text());
      case UserMessage user when user.hasSingleText() -> ChatMessage.user(user.singleText());
      case AiMessage answer when !answer.hasToolExecutionRequests() ->
          ChatMessage.assistant(answer.text());
      default -> throw new UnsupportedFeatureException("messages other than text: " + message);
    };
  }

  private ChatOptions options(ChatRequestParameters asked) {
    if (asked.responseFormat() != null || !asked.toolSpecifications().isEmpty()) {
      throw new UnsupportedFeatureException("tools and response formats");
    }
    Sampling defaults = model.defaultSampling();
    Sampling.Penalties penalties = defaults.penalties();
    Sampling sampling =
        new Sampling(
            or(asked.temperature(), defaults.temperature()),
            or(asked.topK(), defaults.topK()),
            or(asked.topP(), defaults.topP()),
            defaults.minP(),
            new Sampling.Penalties(
                penalties.repetition(),
                or(asked.presencePenalty(), penalties.presence()),
                or(asked.frequencyPenalty(), penalties.frequency())),
            defaults.seed());
    return ChatOptions.of(
        GenerationOptions.of(or(asked.maxOutputTokens(), USUAL_TOKENS))
            .withSampling(sampling)
            .withStop(asked.stopSequences().toArray(String[]::new)));
  }

  private static <T> T or(T asked, T usual) {
    return asked == null ? usual : asked;
  }

  private static ChatResponse response(ChatReply reply) {
    GenerationResult result = reply.text();
    return ChatResponse.builder()
        .aiMessage(AiMessage.from(reply.message().content()))
        .tokenUsage(new TokenUsage(result.promptTokens(), result.tokens().size()))
        .finishReason(
            switch (result.finishReason()) {
              case END_OF_TEXT, STOP -> FinishReason.STOP;
              case LENGTH, CONTEXT -> FinishReason.LENGTH;
              case CANCELLED -> FinishReason.OTHER;
            })
        .build();
  }

  /** Frees the model, after the text that is being written. */
  @Override
  public void close() {
    synchronized (device) {
      device.close();
    }
  }
}
