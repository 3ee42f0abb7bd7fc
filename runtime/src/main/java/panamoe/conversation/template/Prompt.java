package panamoe.conversation.template;

import java.util.BitSet;
import panamoe.data.Tokenizer;

/**
 * A rendered prompt.
 *
 * @param literal the positions of characters that come from the conversation and so cannot be part
 *     of a special token; not to be changed
 */
public record Prompt(String text, BitSet literal) {
  /** Its tokens. Only the template's own text can become special tokens. */
  public int[] tokens(Tokenizer tokenizer) {
    return tokenizer.encodeWithSpecialTokens(text, literal);
  }

  /** Whether the template's own text ends with these words, ignoring white space at the end. */
  public boolean endsWith(String words) {
    String stripped = text.stripTrailing();
    return stripped.endsWith(words) && !literal.get(stripped.length() - 1);
  }
}
