package panamoe.config;

import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * The matrix from hidden states to logits of the vocabulary, or of labels.
 *
 * @param tied whether it is the token embedding
 * @param bias whether logits have a bias
 * @param scale factor of the hidden states, and so of the logits (T5, Granite), above 0; null: 1
 * @param softCap c, above 0: a logit x becomes {@code c tanh(x / c)} (Gemma); null: none
 * @param labels rows of the matrix in a model that classifies texts, such as a reranker; 0: no
 *     matrix, only hidden states; null: the vocabulary
 */
public record HeadConfig(
    boolean tied,
    boolean bias,
    @Omittable Double scale,
    @Omittable Double softCap,
    @Omittable Integer labels) {
  /** The token embedding, without a bias (GPT-2). */
  public static final HeadConfig TIED = new HeadConfig(true, false);

  public HeadConfig {
    if (scale != null) {
      Require.positiveFloat("scale", scale);
    }
    if (softCap != null) {
      Require.positiveFloat("softCap", softCap);
    }
    if (labels != null) {
      Require.between("labels", labels, 0, Require.MAX_SIZE);
      Require.that(!tied && !bias, "the head is tied or has a bias, which one of labels cannot");
    }
  }

  /** With logits of the vocabulary. */
  public HeadConfig(boolean tied, boolean bias, Double scale, Double softCap) {
    this(tied, bias, scale, softCap, null);
  }

  /** Without a soft cap. */
  public HeadConfig(boolean tied, boolean bias, Double scale) {
    this(tied, bias, scale, null);
  }

  /** With logits of labels; 0: without logits. */
  public static HeadConfig ofLabels(int labels) {
    return new HeadConfig(false, false, null, null, labels);
  }

  /** Without a scale and a soft cap. */
  public HeadConfig(boolean tied, boolean bias) {
    this(tied, bias, null, null);
  }
}
