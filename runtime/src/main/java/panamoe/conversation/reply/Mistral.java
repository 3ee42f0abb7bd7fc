package panamoe.conversation.reply;

import java.util.function.Supplier;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.MarkupPattern;

/** Calls after {@code [TOOL_CALLS]}, the form of Mistral's models. */
final class Mistral {
  private static final int ID_LENGTH = 9;

  private Mistral() {}

  /**
   * {@code [TOOL_CALLS] [{"name": "NAME", "arguments": {...}}, ...]}, for Mistral's tokenizers v3
   * and v7.
   */
  static CallSyntax list(Tokenizer tokenizer) {
    return list(Markers.in(tokenizer, "[TOOL_CALLS]"), "", Mistral::newId);
  }

  /**
   * A JSON list of calls.
   *
   * @param open before the list
   * @param close behind it
   */
  static CallSyntax list(String open, String close, Supplier<String> id) {
    CallMarkup.Calls calls =
        new CallMarkup.Calls(
            MarkupPattern.of(" [·" + Hermes.NAME),
            Hermes.ARGUMENTS,
            MarkupPattern.of("·}"),
            MarkupPattern.of("·, " + Hermes.NAME),
            MarkupPattern.of("·]" + close));
    return new CallSyntax(open, true, true, calls, id);
  }

  /**
   * {@code [TOOL_CALLS]NAME[ARGS]{...}} for each call, for tokenizers v11 and later. Those of v11
   * write {@code [CALL_ID]} and nine letters or digits after the name; clients get an id of our
   * own.
   */
  static CallSyntax each(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, "[TOOL_CALLS]");
    MarkupPattern marker = MarkupPattern.of("·" + Markers.in(tokenizer, "[CALL_ID]"));
    CallMarkup.Calls calls =
        new CallMarkup.Calls(
            MarkupPattern.of("·"),
            MarkupPattern.sequence(
                MarkupPattern.perhaps(
                    MarkupPattern.sequence(marker, MarkupPattern.letters(ID_LENGTH))),
                MarkupPattern.of("·" + Markers.in(tokenizer, "[ARGS]") + "·")),
            MarkupPattern.EMPTY,
            MarkupPattern.of(open),
            MarkupPattern.EMPTY);
    return new CallSyntax(open, false, false, calls, Mistral::newId);
  }

  /** Mistral's templates refuse ids of another length. */
  private static String newId() {
    String id = FunctionCall.newId();
    return id.substring(id.length() - ID_LENGTH);
  }
}
