package panamoe.data;

/** Where tokens to train on come from: a text, or tokens that were prepared on the disk. */
public interface TokenSource {
  /** The SHA-256 of the text and its division into documents, in hexadecimal. */
  String sha256();

  /**
   * The tokens of one part of the text.
   *
   * @throws DataException if the text cannot be read again, or its tokens are another tokenizer's
   */
  Tokens tokens(Corpus.Part part, Tokenizer tokenizer);
}
