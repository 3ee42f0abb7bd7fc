package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallForm;
import panamoe.grammar.Wording;

/** Calls behind {@code [TOOL_CALLS]}, of Mixtral and Mistral's other models. */
final class Mistral {
  private static final int ID_LENGTH = 9;

  private Mistral() {}

  /**
   * {@code [TOOL_CALLS] [{"name": "NAME", "arguments": {...}}, ...]}, of models whose tokenizer is
   * Mistral's v3 or v7.
   */
  static CallSyntax list(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, "[TOOL_CALLS]");
    CallForm.Calls calls =
        new CallForm.Calls(
            Wording.of(" [·" + Hermes.NAME),
            Hermes.ARGUMENTS,
            Wording.of("·}"),
            Wording.of("·, " + Hermes.NAME),
            Wording.of("·]"));
    return new CallSyntax(open, true, true, calls, Mistral::newId);
  }

  /**
   * {@code [TOOL_CALLS]NAME[ARGS]{...}} for each call, of models whose tokenizer is v11 or later.
   * Those of v11 write {@code [CALL_ID]} and nine letters or digits behind the name: such an id is
   * not the client's.
   */
  static CallSyntax each(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, "[TOOL_CALLS]");
    Wording marker = Wording.of("·" + Markers.in(tokenizer, "[CALL_ID]"));
    CallForm.Calls calls =
        new CallForm.Calls(
            Wording.of("·"),
            Wording.sequence(
                Wording.perhaps(Wording.sequence(marker, Wording.letters(ID_LENGTH))),
                Wording.of("·" + Markers.in(tokenizer, "[ARGS]") + "·")),
            Wording.EMPTY,
            Wording.of(open),
            Wording.EMPTY);
    return new CallSyntax(open, false, false, calls, Mistral::newId);
  }

  /** Mistral's templates refuse ids of another length. */
  private static String newId() {
    String id = FunctionCall.newId();
    return id.substring(id.length() - ID_LENGTH);
  }
}
