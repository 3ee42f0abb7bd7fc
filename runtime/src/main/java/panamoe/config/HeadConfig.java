package panamoe.config;

import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * The matrix from hidden states to logits.
 *
 * @param tied whether it is the token embedding
 * @param bias whether logits have a bias
 * @param scale factor of the hidden states, and so of the logits (T5, Granite), above 0; null: 1
 * @param softCap c, above 0: a logit x becomes {@code c tanh(x / c)} (Gemma); null: none
 */
public record HeadConfig(
    boolean tied, boolean bias, @Omittable Double scale, @Omittable Double softCap) {
  /** The token embedding, without a bias (GPT-2). */
  public static final HeadConfig TIED = new HeadConfig(true, false);

  public HeadConfig {
    if (scale != null) {
      Require.positiveFloat("scale", scale);
    }
    if (softCap != null) {
      Require.positiveFloat("softCap", softCap);
    }
  }

  /** Without a soft cap. */
  public HeadConfig(boolean tied, boolean bias, Double scale) {
    this(tied, bias, scale, null);
  }

  /** Without a scale and a soft cap. */
  public HeadConfig(boolean tied, boolean bias) {
    this(tied, bias, null, null);
  }
}
