package panamoe.langchain4j;

import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.model.TokenCountEstimator;
import java.util.List;
import java.util.stream.StreamSupport;
import panamoe.text.ChatOptions;
import panamoe.text.MoeModel;

/**
 * Counts tokens as the model does: exactly, with those that its template puts around messages. A
 * message alone is counted as a conversation of one message. Thread-safe.
 */
public final class PanamoeTokenCountEstimator implements TokenCountEstimator {
  private final MoeModel model;

  private PanamoeTokenCountEstimator(MoeModel model) {
    this.model = model;
  }

  /** For an open model, such as that of {@link panamoe.text.TextService#model}. */
  public static PanamoeTokenCountEstimator of(MoeModel model) {
    return new PanamoeTokenCountEstimator(model);
  }

  @Override
  public int estimateTokenCountInText(String text) {
    return Conversation.translating(() -> model.encode(text).length);
  }

  @Override
  public int estimateTokenCountInMessage(ChatMessage message) {
    return estimateTokenCountInMessages(List.of(message));
  }

  /** The tokens of a prompt with these messages, up to where the model's reply begins. */
  @Override
  public int estimateTokenCountInMessages(Iterable<ChatMessage> messages) {
    List<ChatMessage> all = StreamSupport.stream(messages.spliterator(), false).toList();
    return Conversation.translating(() -> model.encode(Messages.of(all), ChatOptions.of(0)).length);
  }
}
