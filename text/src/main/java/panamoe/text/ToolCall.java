package panamoe.text;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.conversation.reply.FunctionCall;

/**
 * A model's call of a function.
 *
 * @param id that the function's result refers to, see {@link ChatMessage#tool}
 * @param name of the function
 * @param arguments a JSON object as text; possibly incomplete in a reply that was cut off
 */
public record ToolCall(String id, String name, String arguments) {
  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if one is null
   */
  public ToolCall {
    Failures.run(
        () -> {
          Argument.notNull("id", id);
          Argument.notNull("name", name);
          Argument.notNull("arguments", arguments);
        });
  }

  FunctionCall toCall() {
    return new FunctionCall(id, name, arguments);
  }
}
