package panamoe.text;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.List;
import java.util.function.Supplier;
import panamoe.api.internal.Argument;
import panamoe.data.template.TemplateException;
import panamoe.io.Require;
import panamoe.open.ConversationForm;

/** A model's conversations. Thread-safe. */
final class Conversations {
  private final Supplier<ConversationForm> reader;
  private ConversationForm form; // read for the first one: a model may have none

  Conversations(Supplier<ConversationForm> reader) {
    this.reader = reader;
  }

  /** Of a model with an encoder. */
  static Conversations none() {
    return new Conversations(
        () -> {
          throw new IllegalArgumentException(
              "the model has an encoder: it answers one text, not a conversation; use generate");
        });
  }

  private synchronized ConversationForm form() {
    if (form == null) {
      form = reader.get();
    }
    return form;
  }

  /**
   * Where answers end.
   *
   * @throws IllegalArgumentException if there are no conversations
   * @throws panamoe.data.DataException if the model's template cannot be used
   */
  ConversationForm.Ends ends() {
    return form().ends();
  }

  /**
   * The tokens of a conversation up to the assistant's next message.
   *
   * @throws IllegalArgumentException also if there are no messages, or the template refuses them
   * @throws panamoe.data.DataException as {@link #ends}
   */
  int[] prompt(List<ChatMessage> messages) {
    ArrayNode written = JsonNodeFactory.instance.arrayNode();
    for (ChatMessage message : Argument.notNull("messages", messages)) {
      Argument.notNull("a message", message);
      written.addObject().put("role", message.role()).put("content", message.content());
    }
    Require.that(!written.isEmpty(), "there are no messages");
    try {
      return form().tokens(form().prompt(written));
    } catch (TemplateException e) {
      throw new IllegalArgumentException(e.reason(), e);
    }
  }
}
