package panamoe.eval;

/**
 * How well a model predicts a text.
 *
 * @param nats summed cross-entropy of the tokens
 * @param tokens that were predicted
 * @param bytes of the predicted tokens in UTF-8; an end-of-text token has none
 */
public record TextScore(double nats, long tokens, long bytes) {
  /** The score of an empty text. */
  public static final TextScore NONE = new TextScore(0, 0, 0);

  public TextScore plus(TextScore other) {
    return new TextScore(nats + other.nats, tokens + other.tokens, bytes + other.bytes);
  }

  /** Comparable between models with different tokenizers. */
  public double bitsPerByte() {
    return nats / Math.log(2) / bytes;
  }

  public double natsPerToken() {
    return nats / tokens;
  }

  /** e to the power of {@link #natsPerToken}. */
  public double perplexity() {
    return Math.exp(natsPerToken());
  }
}
