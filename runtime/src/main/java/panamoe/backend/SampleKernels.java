package panamoe.backend;

import panamoe.tensor.Tensor;

/** Tokens drawn from logits, one for each row. */
public interface SampleKernels {
  /**
   * How each of S rows is drawn from. Tokens are ordered by logit, the highest first; equal ones by
   * token, the lowest first. min-p, then top-k, then top-p leave out tokens at the end of this
   * order; of the others the first one is taken at which the probabilities so far are more than
   * {@code uniform} times their sum.
   *
   * @param temperature FLOAT32 [S]; 0 or a normal positive number; 0 takes the first token
   * @param minP FLOAT32 [S], 0 to 1: only tokens at least minP times as probable as the first
   * @param topK INT32 [S], 0 or more: only the first k tokens; 0 for all
   * @param topP FLOAT32 [S], 0 to 1: only the fewest whose probabilities reach this part, one at
   *     least
   * @param uniform FLOAT64 [S], in [0, 1)
   * @param tokens INT32 [S], written; -1 where a logit is not finite or a setting out of range
   */
  record Sampling(
      Tensor temperature, Tensor minP, Tensor topK, Tensor topP, Tensor uniform, Tensor tokens) {}

  /** logits FLOAT32 [S, V] with V from 1 to 2^21. */
  void sample(Sampling sampling, Tensor logits);
}
