package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallForm;
import panamoe.grammar.Wording;

/**
 * {@code <tool_call>{"name": "NAME", "arguments": {...}}</tool_call>}, of Hermes' and Qwen's
 * models. A new line may come after the first tag, before the last and between calls.
 */
public final class Hermes {
  /** A call as an object, up to its name. */
  static final String NAME = "{·\"name\"·: \"";

  /** From there to the arguments. */
  static final Wording ARGUMENTS = Wording.of("\"·, \"arguments\"·: ");

  private static final String OPEN = "<tool_call>";
  private static final String CLOSE = "</tool_call>";

  private Hermes() {}

  static CallSyntax of(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, OPEN);
    CallForm.Calls calls =
        new CallForm.Calls(
            Wording.of("\n" + NAME),
            ARGUMENTS,
            Wording.of("·}\n" + Markers.in(tokenizer, CLOSE)),
            Wording.of("\n" + open + "\n" + NAME),
            Wording.EMPTY);
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
