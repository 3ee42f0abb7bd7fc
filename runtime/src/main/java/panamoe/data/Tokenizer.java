package panamoe.data;

import java.util.BitSet;

/** Encodes text to tokens and decodes them. Implementations are thread-safe. */
public interface Tokenizer {

  /**
   * The tokens of plain text: special tokens that it spells are encoded as characters. A lone
   * surrogate counts as U+FFFD.
   */
  int[] encode(String text);

  /**
   * Encodes text in which spelled special tokens become tokens, such as a rendered chat template,
   * except in literal parts.
   *
   * @param literal the positions of characters that belong to no special token, and to no other
   *     added token with a bracketed name, such as {@code <tool_call>}
   */
  default int[] encodeWithSpecialTokens(String text, BitSet literal) {
    return encode(text);
  }

  /** The tokens before every prompt, often a beginning-of-text token or none; not to be changed. */
  default int[] prefix() {
    return new int[0];
  }

  /**
   * The tokens after a whole text that is read and not continued, such as a text to embed; often
   * none. Not to be changed.
   */
  default int[] suffix() {
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

  /** The name of a special token; empty for other tokens, and for one without a name. */
  default String special(int token) {
    return "";
  }

  /** The number of tokens V; ids are 0 to V - 1. */
  int vocabularySize();

  /** The token that ends a document. */
  int endOfText();

  /** The tokens that end a completion, with {@link #endOfText}; not to be changed. */
  default int[] ends() {
    return new int[] {endOfText()};
  }

  /**
   * Whether a model with this vocabulary size fits: the same size, or for a released model a larger
   * one, because heads are often padded.
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

  /** The SHA-256 of the tokenizer's file, in hexadecimal; of the empty input for bytes. */
  String sha256();

  /** The decoded text; bytes that are not UTF-8 become U+FFFD. */
  default String decode(int... tokens) {
    Utf8Stream stream = decoding();
    StringBuilder text = new StringBuilder();
    for (int token : tokens) {
      text.append(stream.append(bytesOf(token)));
    }
    return text.append(stream.end()).toString();
  }

  /** Decodes a text from its beginning; {@link Utf8Stream} alone decodes continuations. */
  default Utf8Stream decoding() {
    return new Utf8Stream();
  }
}
