package panamoe.text;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.conversation.reply.FunctionCall;

/**
 * A model's call of a function.
 *
 * @param id that the function's result names, see {@link ChatMessage#tool}
 * @param name of the function
 * @param arguments the text of a JSON object; of a reply that was cut off perhaps a piece of it
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
