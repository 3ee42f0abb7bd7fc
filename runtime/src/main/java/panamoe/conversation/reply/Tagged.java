package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.Elements;
import panamoe.grammar.MarkupPattern;

/** Calls whose arguments are elements between tags. A new line may come between two tags. */
final class Tagged {
  private Tagged() {}

  /**
   * {@code <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value></tool_call>}, the form
   * of GLM-4.5 and later.
   */
  static CallSyntax glm(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, "<tool_call>");
    Elements elements =
        new Elements(
            line(Markers.in(tokenizer, "<arg_key>")),
            MarkupPattern.sequence(
                MarkupPattern.exactly(Markers.in(tokenizer, "</arg_key>")),
                line(Markers.in(tokenizer, "<arg_value>"))),
            "",
            Markers.in(tokenizer, "</arg_value>"));
    return calls(open, "", "", line(Markers.in(tokenizer, "</tool_call>")), elements);
  }

  /**
   * {@code <tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>}, the
   * form of Qwen3-Coder. A value has lines of its own.
   */
  static CallSyntax qwenCoder(Tokenizer tokenizer) {
    Elements elements =
        new Elements(line("<parameter="), MarkupPattern.exactly(">"), "\n", "</parameter>");
    MarkupPattern close =
        MarkupPattern.sequence(line("</function>"), line(Markers.in(tokenizer, "</tool_call>")));
    return calls(Markers.in(tokenizer, "<tool_call>"), "<function=", ">", close, elements);
  }

  /**
   * One call after each opener.
   *
   * @param name before the name
   * @param named behind it
   */
  private static CallSyntax calls(
      String open, String name, String named, MarkupPattern close, Elements elements) {
    CallMarkup.Calls calls =
        new CallMarkup.Calls(
            line(name),
            MarkupPattern.exactly(named),
            close,
            MarkupPattern.sequence(line(open), line(name)),
            MarkupPattern.EMPTY,
            elements);
    return new CallSyntax(open, true, false, calls, FunctionCall::newId);
  }

  /**
   * {@code <minimax:tool_call><invoke name="NAME"><parameter
   * name="KEY">VALUE</parameter></invoke></minimax:tool_call>}, the form of MiniMax-M2, with one
   * opener for all calls.
   */
  static CallSyntax miniMax(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, "<minimax:tool_call>");
    MarkupPattern named = MarkupPattern.exactly("\">");
    CallMarkup.Calls calls =
        new CallMarkup.Calls(
            line("<invoke name=\""),
            named,
            line("</invoke>"),
            line("<invoke name=\""),
            line(Markers.in(tokenizer, "</minimax:tool_call>")),
            new Elements(line("<parameter name=\""), named, "", "</parameter>"));
    return new CallSyntax(open, true, true, calls, FunctionCall::newId);
  }

  private static MarkupPattern line(String tag) {
    return MarkupPattern.sequence(MarkupPattern.of("\n"), MarkupPattern.exactly(tag));
  }
}
