package panamoe.op;

import panamoe.backend.LossKernels;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Cross-entropy of the logits {@code hidden weights^T}, which are never held whole. */
public final class CrossEntropyOp {
  private CrossEntropyOp() {}

  /**
   * With a tape, the gradients are formed in the same sweep as the loss, since the logits are gone
   * afterwards.
   *
   * @param hidden [S, M]
   * @param weights [V, M]
   * @param targets INT32 [S], -1 does not count
   * @param dloss derivative of the objective by each token's loss
   * @return FLOAT32 [S], nats
   */
  public static Tensor forward(
      Pass pass, Tensor hidden, Tensor weights, Tensor targets, float labelSmoothing, float dloss) {
    return forward(pass, hidden, weights, null, targets, labelSmoothing, dloss);
  }

  /** The teacher is null if absent. */
  static Tensor forward(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      LossKernels.Teacher teacher,
      Tensor targets,
      float labelSmoothing,
      float dloss) {
    Tensor losses = pass.allocate(DType.FLOAT32, hidden.size(0));
    Tensor dhidden = pass.recording() ? pass.allocate(hidden.dtype(), hidden.shape()) : null;
    Tensor dweights =
        pass.recording() ? pass.tape().parameterGradientOrScratch(weights, pass.scope()) : null;
    LossKernels.Tokens tokens = new LossKernels.Tokens(targets, labelSmoothing, dloss, losses);
    if (teacher == null) {
      pass.backend().linearCrossEntropy(tokens, hidden, weights, dhidden, dweights);
    } else {
      pass.backend().linearDistillation(tokens, teacher, hidden, weights, dhidden, dweights);
    }
    pass.record(() -> pass.tape().addGradient(hidden, dhidden));
    return losses;
  }
}
