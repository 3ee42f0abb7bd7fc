package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * What attention over whole sequences reads. B sequences of L tokens, H query heads, G key/value
 * heads, D head size; q, k and v have one floating dtype.
 *
 * @param q [B, L, H, D]
 * @param k [B, L, G, D]
 * @param v [B, L, G, D]
 * @param sinks FLOAT32 [H], or null: one logit per query head, which joins the scaled scores in the
 *     softmax but adds no value
 */
public record AttentionInputs(Tensor q, Tensor k, Tensor v, Tensor sinks) {

  /** Without sinks. */
  public AttentionInputs(Tensor q, Tensor k, Tensor v) {
    this(q, k, v, null);
  }
}
