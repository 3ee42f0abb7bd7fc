package panamoe.text;

import java.util.List;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.conversation.Message;
import panamoe.conversation.reply.Reply;

/**
 * A message of a conversation.
 *
 * @param role "system", "user", "assistant" or "tool", or another role of the model's template
 * @param content of the message; for a tool its result; may be empty
 * @param name of the speaker, for templates that show it; null for none
 * @param reasoning the assistant's thoughts before its answer; null for none
 * @param calls of functions by the assistant
 * @param callId in a tool's message, the id of the call that it answers; else null
 */
public record ChatMessage(
    String role,
    String content,
    String name,
    String reasoning,
    List<ToolCall> calls,
    String callId) {
  /**
   * Copies the list, and checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the role, the content, the list or a call
   *     is null
   */
  public ChatMessage {
    List<ToolCall> given = calls;
    calls =
        Failures.translating(
            () -> {
              Argument.notNull("role", role);
              Argument.notNull("content", content);
              Argument.notNull("calls", given).forEach(call -> Argument.notNull("a call", call));
              return List.copyOf(given);
            });
  }

  /** A message with content only. */
  public static ChatMessage of(String role, String content) {
    return new ChatMessage(role, content, null, null, List.of(), null);
  }

  /** The instructions before a conversation. */
  public static ChatMessage system(String content) {
    return of("system", content);
  }

  /** A message of the user. */
  public static ChatMessage user(String content) {
    return of("user", content);
  }

  /** A message of the model. */
  public static ChatMessage assistant(String content) {
    return of("assistant", content);
  }

  /** The result of a call. */
  public static ChatMessage tool(ToolCall call, String content) {
    ToolCall called = Failures.translating(() -> Argument.notNull("call", call));
    return new ChatMessage("tool", content, called.name(), null, List.of(), called.id());
  }

  static ChatMessage of(Reply reply) {
    return new ChatMessage(
        "assistant",
        reply.content(),
        null,
        reply.reasoning().isEmpty() ? null : reply.reasoning(),
        reply.calls().stream()
            .map(call -> new ToolCall(call.id(), call.name(), call.arguments()))
            .toList(),
        null);
  }

  Message toMessage() {
    return new Message(
        role, content, name, reasoning, calls.stream().map(ToolCall::toCall).toList(), callId);
  }
}
