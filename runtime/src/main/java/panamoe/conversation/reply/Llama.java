package panamoe.conversation.reply;

import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.MarkupPattern;

/**
 * {@code {"name": "NAME", "parameters": {...}}}, the form of Llama 3.1 and later: JSON without a
 * marker, of one call. {@code <|python_tag|>} before it is a special token, not content.
 */
final class Llama {
  private Llama() {}

  static CallSyntax of(Tokenizer tokenizer) {
    CallMarkup.Calls calls =
        new CallMarkup.Calls(
            MarkupPattern.EMPTY,
            MarkupPattern.of("\"·, \"parameters\"·: "),
            MarkupPattern.of("·}"),
            MarkupPattern.NEVER,
            MarkupPattern.EMPTY);
    return new CallSyntax("{\"name\": \"", true, false, calls, FunctionCall::newId);
  }
}
