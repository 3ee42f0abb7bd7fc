package panamoe.harness.chat;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.ArrayList;
import java.util.List;
import panamoe.conversation.template.Prompt;
import panamoe.harness.serve.ChatPrompt;
import panamoe.harness.serve.MessageReader;
import panamoe.open.ConversationForm;

/** The messages of a conversation, and the prompt that they make, as at the endpoint. */
final class Conversation {
  private final ChatPrompt chat;
  private final int context;
  // The system message; empty without one.
  private String system = "";
  // By turns the user's and the assistant's.
  private final List<String> messages = new ArrayList<>();
  private Prompt latest;

  /**
   * @param context of the model in tokens
   */
  Conversation(ChatPrompt chat, int context) {
    this.chat = chat;
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
  ConversationForm.Ends ends() {
    return chat.ends();
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
      latest = chat.of(all());
      int[] tokens = chat.tokens(latest);
      if (tokens.length + room <= context) {
        return tokens;
      }
      if (messages.size() == 1) {
        if (tokens.length < context) {
          return tokens;
        }
        throw new IllegalArgumentException(
            "the message makes a prompt of "
                + tokens.length
                + " tokens, which leaves no room in the model's context of "
                + context);
      }
      messages.subList(0, 2).clear();
    }
  }

  /** Reads the answer to the latest prompt. */
  MessageReader reader() {
    return chat.reader(latest);
  }

  private ArrayNode all() {
    ArrayNode all = JsonNodeFactory.instance.arrayNode();
    if (!system.isEmpty()) {
      all.addObject().put("role", "system").put("content", system);
    }
    for (int i = 0; i < messages.size(); i++) {
      all.addObject()
          .put("role", i % 2 == 0 ? "user" : "assistant")
          .put("content", messages.get(i));
    }
    return all;
  }
}
