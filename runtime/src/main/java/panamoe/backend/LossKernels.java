package panamoe.backend;

import panamoe.tensor.Tensor;

/** Cross-entropy in nats. */
public interface LossKernels {
  /**
   * @param targets INT32 [S], -1 does not count
   * @param dloss factor of the gradients
   * @param losses FLOAT32 [S], written
   */
  record Tokens(Tensor targets, float labelSmoothing, float dloss, Tensor losses) {}

  /**
   * logits [S, V]; dlogits [S, V] or null receives {@code dloss} times the gradient, and may be
   * logits.
   */
  void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits);

  /**
   * The same over {@code logits = hidden weights^T} without holding [S, V]. hidden [S, M]; weights
   * [V, M]; dhidden [S, M] is set and dweights FLOAT32 [V, M] added to; both null in evaluation.
   */
  void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights);
}
