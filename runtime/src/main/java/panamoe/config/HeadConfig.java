package panamoe.config;

/**
 * The matrix from hidden states to logits.
 *
 * @param tied whether it is the token embedding itself
 * @param bias whether logits have a bias
 */
public record HeadConfig(boolean tied, boolean bias) {
  /** The token embedding, without a bias (GPT-2). */
  public static final HeadConfig TIED = new HeadConfig(true, false);
}
