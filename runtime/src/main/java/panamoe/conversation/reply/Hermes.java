package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.MarkupPattern;

/**
 * {@code <tool_call>{"name": "NAME", "arguments": {...}}</tool_call>}, the form of Hermes and Qwen.
 * A new line may follow the first tag, precede the last one, and separate calls.
 */
public final class Hermes {
  /** A call's JSON up to its name. */
  static final String NAME = "{·\"name\"·: \"";

  /** Between name and arguments. */
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
   * A call in plain text, for a model without a chat template.
   *
   * @param name as JSON
   */
  public static String plain(String name, String arguments) {
    return OPEN + "{\"name\": " + name + ", \"arguments\": " + arguments + "}" + CLOSE;
  }
}
