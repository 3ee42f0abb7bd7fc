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
        CallSyntax::mistralId);
  }

  /** A call ends with its arguments. An id that the model writes is not the client's. */
  static CallSyntax mistralV11(Tokenizer tokenizer) {
    String id = Pattern.quote(Markers.in(tokenizer, "[CALL_ID]"));
    String arguments = Pattern.quote(Markers.in(tokenizer, "[ARGS]"));
    return new CallSyntax(
        Markers.in(tokenizer, "[TOOL_CALLS]"),
        Pattern.compile("\\s*([\\w-]+)\\s*(?:" + id + "\\w+)?" + arguments + "\\s*(?=\\{)"),
        Pattern.compile(""),
        CallSyntax::mistralId);
  }

  /** Mistral's templates refuse ids of another length. */
  private static String mistralId() {
    return ToolCall.newId().substring("call_".length(), "call_".length() + 9);
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
