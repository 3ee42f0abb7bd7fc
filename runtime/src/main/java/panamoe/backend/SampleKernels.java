package panamoe.backend;

import panamoe.tensor.Tensor;

/** Samples one token from each row of logits. */
public interface SampleKernels {
  /**
   * The sampling of S rows. Tokens are sorted by descending logit, equal logits by ascending token.
   * min-p, then top-k, then top-p cut off the end of this order; the sampled token is the first
   * whose cumulative probability exceeds {@code uniform} times the sum of what is left.
   *
   * @param temperature FLOAT32 [S]; 0 (greedy) or a normal positive number
   * @param minP FLOAT32 [S], 0 to 1: only tokens at least minP times as probable as the first
   * @param topK INT32 [S], 0 or more: only the first k tokens; 0 for all
   * @param topP FLOAT32 [S], 0 to 1: only the shortest prefix with this probability, at least one
   *     token
   * @param uniform FLOAT64 [S], in [0, 1)
   * @param tokens INT32 [S], written; -1 where a logit is not finite or a setting out of range
   */
  record Sampling(
      Tensor temperature, Tensor minP, Tensor topK, Tensor topP, Tensor uniform, Tensor tokens) {}

  /** logits FLOAT32 [S, V] with V from 1 to 2^21. */
  void sample(Sampling sampling, Tensor logits);
}
