package panamoe.langchain4j;

import dev.langchain4j.model.ModelProvider;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatModelStreamingEvent;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Flow;
import panamoe.text.TextCompletion;
import panamoe.text.TextService;

/**
 * {@link PanamoeChatModel}, piece by piece. A handler is called by a virtual thread, one call at a
 * time, and may take its time. Cancelling its handle ends the reply; then the handler is called no
 * more. A handler that throws gets its exception in {@code onError}, and the reply goes on.
 */
public final class PanamoeStreamingChatModel implements StreamingChatModel {
  private final Conversation conversation;

  private PanamoeStreamingChatModel(Builder builder) {
    conversation = builder.conversation();
  }

  /** A model over an open service, which whoever opened it closes. */
  public static PanamoeStreamingChatModel of(TextService service) {
    return builder().service(service).build();
  }

  /** A builder, which needs a service. */
  public static Builder builder() {
    return new Builder();
  }

  @Override
  public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
    TextCompletion completion;
    try {
      completion = conversation.submit(request);
    } catch (RuntimeException e) {
      handler.onError(Conversation.translated(e));
      return;
    }
    completion.pieces().subscribe(new StreamedReply(conversation, completion, handler));
  }

  /** The request is submitted for each subscriber, whose cancellation ends its reply. */
  @Override
  public Flow.Publisher<ChatModelStreamingEvent> doChat(ChatRequest request) {
    return subscriber -> EventStream.send(this, request, subscriber);
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

  /** Builds a streaming chat model. Not thread-safe. */
  public static final class Builder extends ModelBuilder<Builder> {
    private Builder() {}

    /**
     * Builds it.
     *
     * @throws IllegalArgumentException if the service, or something else, is null
     * @throws dev.langchain4j.exception.UnsupportedFeatureException if the default parameters name
     *     another model
     */
    public PanamoeStreamingChatModel build() {
      return new PanamoeStreamingChatModel(this);
    }
  }
}
