package panamoe.data;

import java.util.BitSet;

/** Text to tokens and back. Implementations are thread-safe. */
public interface Tokenizer {

  /**
   * The tokens of a plain text: characters that spell a special token are encoded as characters. A
   * lone surrogate counts as U+FFFD.
   */
  int[] encode(String text);

  /**
   * Encodes a text whose spelled special tokens are meant as such, such as a chat template's
   * prompt, except where it is somebody's words.
   *
   * @param literal the places of characters that are part of no special token, nor of another added
   *     token whose name is in brackets, such as {@code <tool_call>}
   */
  default int[] encodeWithSpecialTokens(String text, BitSet literal) {
    return encode(text);
  }

  /**
   * The tokens that the model expects before every text, often one that means its beginning, often
   * none; not to be changed.
   */
  default int[] prefix() {
    return new int[0];
  }

  /**
   * The bytes of one token, possibly a part of a character (see {@link Utf8Stream}); empty for a
   * special token.
   *
   * @return not to be changed
   * @throws IndexOutOfBoundsException if there is no such token
   */
  byte[] bytesOf(int token);

  /** The name of a special token; empty for a token with bytes, or without a name. */
  default String special(int token) {
    return "";
  }

  /** The number of tokens V; ids are 0 to V - 1. */
  int vocabularySize();

  /** The token that ends a document. */
  int endOfText();

  /** The tokens that end a text, {@link #endOfText} among them; not to be changed. */
  default int[] ends() {
    return new int[] {endOfText()};
  }

  /**
   * Whether it is one of a model with this vocabulary: of as many tokens, or, of a released model,
   * of fewer, as heads are often padded to a round number of rows.
   */
  default boolean fits(int vocabulary) {
    return vocabularySize() == vocabulary;
  }

  /** Whether a token is one of {@link #ends}. */
  default boolean endsText(int token) {
    for (int end : ends()) {
      if (end == token) {
        return true;
      }
    }
    return false;
  }

  /** The SHA-256 of the tokenizer's file, in hexadecimal; of no bytes where it needs no file. */
  String sha256();

  /** The text of a sequence of tokens, with U+FFFD for bytes that are not UTF-8. */
  default String decode(int... tokens) {
    Utf8Stream stream = decoding();
    StringBuilder text = new StringBuilder();
    for (int token : tokens) {
      text.append(stream.append(bytesOf(token)));
    }
    return text.append(stream.end()).toString();
  }

  /**
   * Decodes the tokens of a text as they come, from its beginning. What goes on with a text is
   * decoded by a plain {@link Utf8Stream}.
   */
  default Utf8Stream decoding() {
    return new Utf8Stream();
  }
}
