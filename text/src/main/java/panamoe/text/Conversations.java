package panamoe.text;

import java.util.List;
import java.util.function.Supplier;
import panamoe.api.internal.Argument;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Tools;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.io.Require;

/** A model's conversations. Thread-safe. */
final class Conversations {
  private final Supplier<ChatFormat> reader;
  private ChatFormat format; // read at the first conversation: not every model has one
  private List<String> warnings = List.of();

  Conversations(Supplier<ChatFormat> reader) {
    this.reader = reader;
  }

  /**
   * The chat format.
   *
   * @throws IllegalArgumentException if the model has no conversations
   * @throws panamoe.io.DataException if the model's template cannot be used
   */
  synchronized ChatFormat format() {
    if (format == null) {
      format = reader.get();
    }
    return format;
  }

  /** Warnings about the conversations so far. */
  synchronized List<String> warnings() {
    return warnings;
  }

  private synchronized void warn(Tools tools) {
    warnings = tools.any() ? format().toolWarning().stream().toList() : warnings;
  }

  /**
   * The prompt of a conversation up to the assistant's next message.
   *
   * @throws IllegalArgumentException also if there are no messages, or the template refuses them
   * @throws panamoe.io.DataException like {@link #format}
   */
  Prompt prompt(List<ChatMessage> messages, ChatOptions options) {
    Argument.notNull("messages", messages);
    messages.forEach(message -> Argument.notNull("a message", message));
    Argument.notNull("options", options);
    Require.that(!messages.isEmpty(), "there are no messages");
    Tools tools = options.toTools();
    warn(tools);
    try {
      return format()
          .prompt(
              messages.stream().map(ChatMessage::toMessage).toList(), tools, options.toVariables());
    } catch (TemplateException e) {
      throw new IllegalArgumentException(e.reason(), e);
    }
  }
}
