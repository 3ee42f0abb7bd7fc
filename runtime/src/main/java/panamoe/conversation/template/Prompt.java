package panamoe.conversation.template;

import java.util.BitSet;
import panamoe.data.Tokenizer;

/**
 * A prompt that a template has written.
 *
 * @param literal the places of characters that the conversation gave, which therefore are part of
 *     no special token; not to be changed
 */
public record Prompt(String text, BitSet literal) {
  /**
   * Its tokens. What the template wrote may spell special tokens; what it was given is text, so
   * that a user cannot write a marker.
   */
  public int[] tokens(Tokenizer tokenizer) {
    return tokenizer.encodeWithSpecialTokens(text, literal);
  }

  /** Whether these words of the template are its end, perhaps with white space behind them. */
  public boolean endsWith(String words) {
    String stripped = text.stripTrailing();
    return stripped.endsWith(words) && !literal.get(stripped.length() - 1);
  }
}
