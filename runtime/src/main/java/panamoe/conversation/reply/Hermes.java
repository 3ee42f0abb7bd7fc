package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.MarkupPattern;

/**
 * {@code <tool_call>{"name": "NAME", "arguments": {...}}</tool_call>}, of Hermes' and Qwen's
 * models. A new line may come after the first tag, before the last and between calls.
 */
public final class Hermes {
  /** A call as an object, up to its name. */
  static final String NAME = "{·\"name\"·: \"";

  /** From there to the arguments. */
  static final MarkupPattern ARGUMENTS = MarkupPattern.of("\"·, \"arguments\"·: ");

  private static final String OPEN = "<tool_call>";
  private static final String CLOSE = "</tool_call>";

  private Hermes() {}

  static CallSyntax of(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, OPEN);
    CallMarkup.Calls calls =
        new CallMarkup.Calls(
            MarkupPattern.of("\n" + NAME),
            ARGUMENTS,
            MarkupPattern.of("·}\n" + Markers.in(tokenizer, CLOSE)),
            MarkupPattern.of("\n" + open + "\n" + NAME),
            MarkupPattern.EMPTY);
    return new CallSyntax(open, true, false, calls, FunctionCall::newId);
  }

  /**
   * A call in plain text, as a model without a template writes it.
   *
   * @param name as JSON
   */
  public static String plain(String name, String arguments) {
    return OPEN + "{\"name\": " + name + ", \"arguments\": " + arguments + "}" + CLOSE;
  }
}
