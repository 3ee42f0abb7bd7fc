package panamoe.data;

import java.util.function.DoubleConsumer;
import panamoe.io.DataException;

/** A source of training tokens: text, or a prepared corpus on disk. */
public interface TokenSource {
  /** The SHA-256 of the text and of its division into documents, in hexadecimal. */
  String sha256();

  /**
   * The first tokens of one part of the text.
   *
   * @param most the number of tokens needed; the result may have a few more
   * @param progress receives the completed part, 0 to 1
   * @throws DataException if the text cannot be read again, or was encoded by another tokenizer
   */
  Tokens tokens(Corpus.Part part, Tokenizer tokenizer, long most, DoubleConsumer progress);

  /** All tokens of one part of the text. */
  default Tokens tokens(Corpus.Part part, Tokenizer tokenizer) {
    return tokens(part, tokenizer, Long.MAX_VALUE, _ -> {});
  }
}
