package panamoe.data;

import java.util.function.DoubleConsumer;
import panamoe.io.DataException;

/** Where tokens to train on come from: a text, or tokens that were prepared on the disk. */
public interface TokenSource {
  /** The SHA-256 of the text and its division into documents, in hexadecimal. */
  String sha256();

  /**
   * The first tokens of one part of the text.
   *
   * @param most tokens that are needed; a few more may be given
   * @param progress is told which part is done, 0 to 1
   * @throws DataException if the text cannot be read again, or its tokens are another tokenizer's
   */
  Tokens tokens(Corpus.Part part, Tokenizer tokenizer, long most, DoubleConsumer progress);

  /** All tokens of one part of the text. */
  default Tokens tokens(Corpus.Part part, Tokenizer tokenizer) {
    return tokens(part, tokenizer, Long.MAX_VALUE, _ -> {});
  }
}
