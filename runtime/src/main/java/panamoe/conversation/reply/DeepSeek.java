package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.MarkupPattern;

/** DeepSeek's calls between special markers. */
final class DeepSeek {
  private DeepSeek() {}

  /**
   * The syntax of models with a vocabulary.
   *
   * @param fenced whether a type precedes the name and arguments are in a code block, as in V3 and
   *     R1; else the form of V3.1
   */
  static CallSyntax of(Tokenizer tokenizer, boolean fenced) {
    String begin = Markers.in(tokenizer, "<｜tool▁call▁begin｜>");
    String separator = Markers.in(tokenizer, "<｜tool▁sep｜>");
    String end = Markers.in(tokenizer, "<｜tool▁call▁end｜>");
    String name = fenced ? begin + "function" + separator : begin;
    CallMarkup.Calls calls =
        new CallMarkup.Calls(
            MarkupPattern.of("·" + name),
            MarkupPattern.exactly(fenced ? "\n```json\n" : separator),
            MarkupPattern.exactly(fenced ? "\n```" + end : end),
            MarkupPattern.of(fenced ? "\n" + name : name),
            MarkupPattern.of(Markers.in(tokenizer, "<｜tool▁calls▁end｜>")));
    String open = Markers.in(tokenizer, "<｜tool▁calls▁begin｜>");
    return new CallSyntax(open, false, true, calls, FunctionCall::newId);
  }
}
