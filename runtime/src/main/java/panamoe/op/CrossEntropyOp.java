package panamoe.op;

import panamoe.backend.LossKernels;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Cross-entropy of the logits {@code hidden weights^T}, which are never stored whole. */
public final class CrossEntropyOp {
  private CrossEntropyOp() {}

  /**
   * With a tape, one sweep forms loss and gradients, since the logits are not kept.
   *
   * @param hidden [S, M]
   * @param weights [V, M]
   * @param logitCap soft cap of the logits; 0 for none
   * @param targets INT32 [S], -1 does not count
   * @param dloss derivative of the objective by each token's loss
   * @return FLOAT32 [S], nats
   */
  public static Tensor forward(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      float logitCap,
      Tensor targets,
      float labelSmoothing,
      float dloss) {
    return forward(pass, hidden, weights, logitCap, null, targets, labelSmoothing, dloss);
  }

  /** The teacher may be null. */
  static Tensor forward(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      float logitCap,
      LossKernels.Teacher teacher,
      Tensor targets,
      float labelSmoothing,
      float dloss) {
    Tensor losses = pass.allocate(DType.FLOAT32, hidden.size(0));
    Tensor dhidden = pass.recording() ? pass.allocate(hidden.dtype(), hidden.shape()) : null;
    Tensor dweights =
        pass.recording() ? pass.tape().parameterGradientOrScratch(weights, pass.scope()) : null;
    LossKernels.Tokens tokens =
        new LossKernels.Tokens(targets, labelSmoothing, dloss, losses, logitCap);
    if (teacher == null) {
      pass.backend().linearCrossEntropy(tokens, hidden, weights, dhidden, dweights);
    } else {
      pass.backend().linearDistillation(tokens, teacher, hidden, weights, dhidden, dweights);
    }
    pass.record(() -> pass.tape().addGradient(hidden, dhidden));
    return losses;
  }
}
