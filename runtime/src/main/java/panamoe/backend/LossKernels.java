package panamoe.backend;

import panamoe.tensor.Tensor;

/** Cross-entropy and the divergence from a teacher, in nats. */
public interface LossKernels {
  /**
   * @param targets INT32 [S], -1 does not count
   * @param dloss factor of the gradients
   * @param losses FLOAT32 [S], written
   * @param logitCap c &gt; 0: logits are {@code c tanh(x / c)}, and gradients are those of x; 0 for
   *     none
   */
  record Tokens(Tensor targets, float labelSmoothing, float dloss, Tensor losses, float logitCap) {}

  /**
   * logits [S, V], capped already; dlogits [S, V] or null receives {@code dloss} times the
   * gradient, and may be logits.
   */
  void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits);

  /**
   * Cross-entropy of {@code logits = hidden weights^T} without storing [S, V]. hidden [S, M];
   * weights [V, M]; dhidden [S, M] is set and dweights FLOAT32 [V, M] added to, or null if weights
   * are frozen; they may then be packed. Both are null in evaluation.
   */
  void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights);

  /**
   * A teacher, whose logits t [S, V] are compared with the student's logits s at a temperature T.
   *
   * @param temperature T, more than 0, finite and not subnormal
   * @param weight factor of the divergence in the gradients, {@code alpha T^2}; 0 or more
   * @param hidden [S, N]; t if weights is null
   * @param weights [V, N], row-major or packed, or null
   * @param divergences FLOAT32 [S], written: KL(softmax(t / T) || softmax(s / T)), 0 where the
   *     target is -1; NaN if t has one
   * @param logitCap of {@code hidden weights^T}, like that of {@link Tokens}
   */
  record Teacher(
      float temperature,
      float weight,
      Tensor hidden,
      Tensor weights,
      Tensor divergences,
      float logitCap) {}

  /**
   * {@link #linearCrossEntropy} whose gradients are those of {@code dloss (losses + weight
   * divergences)}.
   */
  void linearDistillation(
      Tokens tokens,
      Teacher teacher,
      Tensor hidden,
      Tensor weights,
      Tensor dhidden,
      Tensor dweights);
}
