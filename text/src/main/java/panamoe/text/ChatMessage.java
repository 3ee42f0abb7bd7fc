package panamoe.text;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * A message of a conversation.
 *
 * @param role "system", "user" or "assistant", and whatever else a model's template knows
 * @param content what was said
 */
public record ChatMessage(String role, String content) {
  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if one is null
   */
  public ChatMessage {
    Failures.run(
        () -> {
          Argument.notNull("role", role);
          Argument.notNull("content", content);
        });
  }

  /** What stands before a conversation. */
  public static ChatMessage system(String content) {
    return new ChatMessage("system", content);
  }

  /** What the user said. */
  public static ChatMessage user(String content) {
    return new ChatMessage("user", content);
  }

  /** What the model answered. */
  public static ChatMessage assistant(String content) {
    return new ChatMessage("assistant", content);
  }
}
