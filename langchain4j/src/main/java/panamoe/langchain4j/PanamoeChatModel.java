package panamoe.langchain4j;

import dev.langchain4j.model.ModelProvider;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import panamoe.text.TextCompletion;
import panamoe.text.TextService;

/**
 * A model in this process as LangChain4j's chat model. Any thread may ask; replies of all threads,
 * and those of a {@link PanamoeStreamingChatModel} over the same service, are written together, and
 * the tokens of a reply do not depend on the others.
 *
 * <p>It understands text messages, tools, {@code toolChoice}, thoughts, and response formats, which
 * a reply keeps to while it is sampled; objects have no further properties than their schema names.
 * A request may name {@link ChatParameters} for what LangChain4j has no word for. A model's name,
 * if given, must be {@link Builder#modelName}'s.
 *
 * <p>Exceptions are LangChain4j's: {@code InvalidRequestException} for a request that cannot be
 * answered, {@code UnsupportedFeatureException} for images and other content than text, {@code
 * RateLimitException} if too many requests wait, {@code TimeoutException} after {@link
 * ChatParameters#timeout}, {@code InternalServerException} for a failed or closed model. If the
 * thread is interrupted, the reply ends where it is, with finish reason {@code OTHER}.
 */
public final class PanamoeChatModel implements ChatModel {
  private final Conversation conversation;

  private PanamoeChatModel(Builder builder) {
    conversation = builder.conversation();
  }

  /** A model over an open service, which whoever opened it closes. */
  public static PanamoeChatModel of(TextService service) {
    return builder().service(service).build();
  }

  /** A builder, which needs a service. */
  public static Builder builder() {
    return new Builder();
  }

  @Override
  public ChatResponse doChat(ChatRequest request) {
    return Conversation.translating(
        () -> {
          TextCompletion completion = conversation.submit(request);
          return conversation.response(completion.join());
        });
  }

  /** Cancelling the future cancels the reply. */
  @Override
  public CompletableFuture<ChatResponse> doChatAsync(ChatRequest request) {
    TextCompletion completion = Conversation.translating(() -> conversation.submit(request));
    CompletableFuture<ChatResponse> response =
        completion
            .result()
            .handle(
                (result, failure) -> {
                  if (failure != null) {
                    throw Conversation.translated(failure);
                  }
                  return conversation.response(result);
                });
    response.whenComplete(
        (_, _) -> {
          if (response.isCancelled()) {
            completion.cancel();
          }
        });
    return response;
  }

  @Override
  public ChatRequestParameters defaultRequestParameters() {
    return conversation.defaults();
  }

  @Override
  public List<ChatModelListener> listeners() {
    return conversation.listeners();
  }

  @Override
  public ModelProvider provider() {
    return ModelProvider.OTHER;
  }

  @Override
  public Set<Capability> supportedCapabilities() {
    return Set.of(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
  }

  /** Builds a chat model. Not thread-safe. */
  public static final class Builder extends ModelBuilder<Builder> {
    private Builder() {}

    /**
     * Builds it.
     *
     * @throws IllegalArgumentException if the service, or something else, is null
     * @throws dev.langchain4j.exception.UnsupportedFeatureException if the default parameters name
     *     another model
     */
    public PanamoeChatModel build() {
      return new PanamoeChatModel(this);
    }
  }
}
