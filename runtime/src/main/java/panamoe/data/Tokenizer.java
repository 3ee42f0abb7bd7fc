package panamoe.data;

/** Text to tokens and back. Implementations are thread-safe. */
public interface Tokenizer {

  /**
   * The tokens of a text. All of it is plain text: where it spells a special token, it gets the
   * tokens of those characters. A lone surrogate counts as U+FFFD.
   */
  int[] encode(String text);

  /**
   * The bytes that one token stands for, perhaps a part of a character (see {@link Utf8Stream});
   * none for a special token.
   *
   * @return not to be changed
   * @throws IndexOutOfBoundsException if there is no such token
   */
  byte[] bytesOf(int token);

  /** Tokens are numbered from 0 to this number, exclusive. */
  int vocabularySize();

  /** The token that ends a document. */
  int endOfText();

  /** The text of a sequence of tokens, U+FFFD for what is not UTF-8. */
  default String decode(int... tokens) {
    Utf8Stream stream = new Utf8Stream();
    StringBuilder text = new StringBuilder();
    for (int token : tokens) {
      text.append(stream.append(bytesOf(token)));
    }
    return text.append(stream.end()).toString();
  }
}
