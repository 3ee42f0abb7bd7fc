package panamoe.harness.serve;

import java.util.function.Supplier;
import java.util.regex.Pattern;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallForm;

/**
 * What is around the calls in a text, which may have {@link Markers}.
 *
 * @param open before the first call
 * @param head from there to the arguments; its first group is the name
 * @param tail behind arguments; if it has a group that matches, another head follows
 * @param id makes the id of a call
 */
record CallSyntax(String open, Pattern head, Pattern tail, Supplier<String> id) {
  private static final String NAMED =
      "\\s*\\{\\s*\"name\"\\s*:\\s*\"([\\w-]+)\"\\s*,\\s*\"arguments\"\\s*:\\s*(?=\\{)";

  static final CallSyntax HERMES =
      new CallSyntax(
          CallForm.OPEN,
          Pattern.compile(NAMED),
          Pattern.compile("\\s*\\}\\s*" + CallForm.CLOSE),
          ToolCall::newId);

  static CallSyntax mistral(Tokenizer tokenizer) {
    return new CallSyntax(
        Markers.in(tokenizer, "[TOOL_CALLS]"),
        Pattern.compile("\\s*\\[?" + NAMED),
        Pattern.compile("\\s*\\}\\s*(?:(,)|\\])"),
        () -> ToolCall.newId().substring("call_".length(), "call_".length() + 9));
  }

  static CallSyntax deepSeek(Tokenizer tokenizer) {
    String begin = Pattern.quote(Markers.in(tokenizer, "<｜tool▁call▁begin｜>"));
    String separator = Pattern.quote(Markers.in(tokenizer, "<｜tool▁sep｜>"));
    String end = Pattern.quote(Markers.in(tokenizer, "<｜tool▁call▁end｜>"));
    String last = Pattern.quote(Markers.in(tokenizer, "<｜tool▁calls▁end｜>"));
    return new CallSyntax(
        Markers.in(tokenizer, "<｜tool▁calls▁begin｜>"),
        Pattern.compile(
            "\\s*"
                + begin
                + "(?:function"
                + separator
                + ")?([\\w-]+)(?:\\s*```json\\s*|"
                + separator
                + ")(?=\\{)"),
        Pattern.compile("\\s*(?:```)?\\s*" + end + "\\s*(?:(?=(" + begin + "))|" + last + ")"),
        ToolCall::newId);
  }
}
