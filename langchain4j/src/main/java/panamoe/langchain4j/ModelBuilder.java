package panamoe.langchain4j;

import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import java.util.List;
import panamoe.text.TextService;

/**
 * What the builders of both chat models set.
 *
 * @param <B> the builder
 */
public abstract sealed class ModelBuilder<B extends ModelBuilder<B>>
    permits PanamoeChatModel.Builder, PanamoeStreamingChatModel.Builder {
  private TextService service;
  private String modelName = "panamoe";
  private ChatRequestParameters defaults = ChatParameters.EMPTY;
  private List<ChatModelListener> listeners = List.of();

  ModelBuilder() {}

  /** The service that writes replies. Several models may share one; the caller closes it. */
  public B service(TextService value) {
    service = value;
    return self();
  }

  /** The name in responses and for listeners; "panamoe" by default. */
  public B modelName(String value) {
    modelName = value;
    return self();
  }

  /**
   * Parameters of requests that do not have their own, possibly {@link ChatParameters}. Sampling
   * that is set nowhere is the publisher's, and a reply has up to 1024 tokens.
   */
  public B defaultRequestParameters(ChatRequestParameters value) {
    defaults = value;
    return self();
  }

  /** Listeners to requests, responses and errors. */
  public B listeners(List<ChatModelListener> value) {
    listeners = value;
    return self();
  }

  @SuppressWarnings("unchecked")
  private B self() {
    return (B) this;
  }

  Conversation conversation() {
    if (service == null || modelName == null || defaults == null || listeners == null) {
      throw new IllegalArgumentException(
          "a chat model needs a service, a name, parameters and listeners, none of them null:"
              + " builder().service(TextService.open(path))");
    }
    Conversation.requireName(defaults, modelName);
    return new Conversation(service, modelName, defaults, List.copyOf(listeners));
  }
}
