package panamoe.conversation;

import java.util.List;
import panamoe.conversation.reply.FunctionCall;

/**
 * A message of a conversation.
 *
 * @param role system, developer, user, assistant or tool, and whatever else a template knows
 * @param name of who speaks; null without
 * @param reasoning what an assistant thought; null without
 * @param calls of an assistant
 * @param callId the id of the call that a tool's message is the result of; null of others
 */
public record Message(
    String role,
    String content,
    String name,
    String reasoning,
    List<FunctionCall> calls,
    String callId) {
  public Message {
    calls = List.copyOf(calls);
  }

  /** A message of text alone. */
  public static Message of(String role, String content) {
    return new Message(role, content, null, null, List.of(), null);
  }
}
