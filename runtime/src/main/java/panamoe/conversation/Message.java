package panamoe.conversation;

import java.util.List;
import panamoe.conversation.reply.FunctionCall;

/**
 * A message of a conversation.
 *
 * @param role system, developer, user, assistant or tool, or another role of the template
 * @param name of the speaker; null for none
 * @param reasoning the assistant's thoughts; null for none
 * @param calls of functions by the assistant
 * @param callId in a tool's message, the id of the call that it answers; else null
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

  /** A message with content only. */
  public static Message of(String role, String content) {
    return new Message(role, content, null, null, List.of(), null);
  }
}
