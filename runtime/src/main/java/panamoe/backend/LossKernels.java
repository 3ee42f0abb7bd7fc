package panamoe.backend;

import panamoe.tensor.Tensor;

/** Cross-entropy in nats. targets INT32 [S], -1 does not count; losses FLOAT32 [S]. */
public interface LossKernels {
  /**
   * logits [S, V]; dlogits [S, V] or null receives {@code dloss} times the gradient, and may be
   * logits.
   */
  void crossEntropy(
      Tensor logits,
      Tensor targets,
      float labelSmoothing,
      float dloss,
      Tensor losses,
      Tensor dlogits);

  /**
   * The same over {@code logits = hidden weights^T} without holding [S, V]. hidden [S, M]; weights
   * [V, M]; dhidden [S, M] is set and dweights FLOAT32 [V, M] added to; both null in evaluation.
   */
  void linearCrossEntropy(
      Tensor hidden,
      Tensor weights,
      Tensor targets,
      float labelSmoothing,
      float dloss,
      Tensor losses,
      Tensor dhidden,
      Tensor dweights);
}
