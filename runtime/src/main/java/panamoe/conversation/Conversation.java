package panamoe.conversation;

import java.util.BitSet;
import java.util.List;

/**
 * A recorded conversation, to train on.
 *
 * @param context the indices of the assistant's messages that are context alone
 * @param tools the functions that its assistant had
 */
public record Conversation(List<Message> messages, BitSet context, Tools tools) {
  public Conversation {
    messages = List.copyOf(messages);
  }

  /** A conversation that trains every message of its assistant. */
  public Conversation(List<Message> messages, Tools tools) {
    this(messages, new BitSet(), tools);
  }

  boolean isTrained(int message) {
    return messages.get(message).role().equals("assistant") && !context.get(message);
  }
}
