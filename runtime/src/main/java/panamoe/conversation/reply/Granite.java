package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;

/**
 * {@code <|tool_call|>[{"name": "NAME", "arguments": {...}}, ...]}, the form of Granite 3, and of
 * Phi-4-mini, which ends the list by {@code <|/tool_call|>}.
 */
final class Granite {
  /** The marker before the list. */
  static final String OPEN = "<|tool_call|>";

  private static final String CLOSE = "<|/tool_call|>";

  private Granite() {}

  static CallSyntax of(Tokenizer tokenizer) {
    String open = Markers.in(tokenizer, OPEN);
    String close = Markers.in(tokenizer, CLOSE);
    // A vocabulary has both markers, or the list has no end marker.
    String end = open.equals(OPEN) || close.equals(CLOSE) ? "" : close;
    return Mistral.list(open, end, FunctionCall::newId);
  }
}
