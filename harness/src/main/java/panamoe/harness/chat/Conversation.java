package panamoe.harness.chat;

import java.util.ArrayList;
import java.util.List;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Message;
import panamoe.conversation.Tools;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.template.Prompt;
import panamoe.io.Require;

/** The messages of a conversation and their prompt, like at the server's endpoint. */
final class Conversation {
  private final ChatFormat format;
  private final int context;
  // The system message; empty without one.
  private String system = "";
  // Alternating between user and assistant.
  private final List<String> messages = new ArrayList<>();
  private Prompt latest;

  /**
   * @param context length in tokens
   */
  Conversation(ChatFormat format, int context) {
    this.format = format;
    this.context = context;
  }

  void system(String text) {
    system = text;
  }

  void reset() {
    messages.clear();
  }

  /** Adds the next message: user and assistant alternate. */
  void add(String message) {
    messages.add(message);
  }

  void takeBack() {
    messages.removeLast();
  }

  /** The context length in tokens. */
  int context() {
    return context;
  }

  /** Where the assistant's message ends. */
  ChatFormat.Ends ends() {
    return format.ends();
  }

  int size() {
    return messages.size();
  }

  /**
   * The tokens of the prompt for the assistant's next message. If they leave fewer than {@code
   * room} tokens in the context, the oldest messages are removed.
   *
   * @throws panamoe.conversation.template.TemplateException if the template refuses the messages
   * @throws IllegalArgumentException if the last message alone leaves no room for one token
   */
  int[] prompt(int room) {
    while (true) {
      latest = format.prompt(all());
      int[] tokens = format.tokens(latest);
      if (tokens.length + room <= context) {
        return tokens;
      }
      if (messages.size() == 1) {
        if (tokens.length < context) {
          return tokens;
        }
        throw Require.refusal(
            "the message makes a prompt of %s tokens, which leaves no room in the model's context of %s",
            tokens.length, context);
      }
      messages.subList(0, 2).clear();
    }
  }

  /** Begins the answer to the latest prompt. */
  Reply reply() {
    return format.reply(latest, false, Tools.NONE);
  }

  private List<Message> all() {
    List<Message> all = new ArrayList<>();
    if (!system.isEmpty()) {
      all.add(Message.of("system", system));
    }
    for (int i = 0; i < messages.size(); i++) {
      all.add(Message.of(i % 2 == 0 ? "user" : "assistant", messages.get(i)));
    }
    return all;
  }
}
