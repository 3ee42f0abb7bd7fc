package panamoe.harness.chat;

import java.util.ArrayList;
import java.util.List;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Message;
import panamoe.conversation.Tools;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.template.Prompt;
import panamoe.io.Require;

/** The messages of a conversation, and the prompt that they make, as at the endpoint. */
final class Conversation {
  private final ChatFormat format;
  private final int context;
  // The system message; empty without one.
  private String system = "";
  // By turns the user's and the assistant's.
  private final List<String> messages = new ArrayList<>();
  private Prompt latest;

  /**
   * @param context of the model in tokens
   */
  Conversation(ChatFormat format, int context) {
    this.format = format;
    this.context = context;
  }

  /** Sets what stands before all messages. */
  void system(String text) {
    system = text;
  }

  /** Forgets all messages. */
  void reset() {
    messages.clear();
  }

  /** Adds the next message: the user's after the assistant's. */
  void add(String message) {
    messages.add(message);
  }

  /** Takes back the last message. */
  void takeBack() {
    messages.removeLast();
  }

  /** Of the model in tokens. */
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
   * The tokens of the conversation up to the assistant's next message. If they leave no room for
   * {@code room} tokens in the context, forgets the oldest messages.
   *
   * @throws panamoe.conversation.template.TemplateException if the model's template refuses it
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
