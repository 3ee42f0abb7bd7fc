package panamoe.op;

import panamoe.backend.LossKernels;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Cross-entropy of a student's logits {@code s = hidden weights^T} and their divergence from a
 * teacher's logits t, neither ever stored whole. The teacher gets no gradient.
 */
public final class DistillationOp {
  private DistillationOp() {}

  /**
   * @param temperature T, more than 0, finite and not subnormal
   * @param weight factor of the divergence in the gradients, {@code alpha T^2}; 0 or more
   * @param hidden [S, N]; the logits t [S, V] themselves if weights is null
   * @param weights [V, N], row-major or packed, or null
   * @param logitCap of {@code hidden weights^T}; 0 for none
   */
  public record Teacher(
      float temperature, float weight, Tensor hidden, Tensor weights, float logitCap) {
    /** Without a cap. */
    public Teacher(float temperature, float weight, Tensor hidden, Tensor weights) {
      this(temperature, weight, hidden, weights, 0);
    }
  }

  /**
   * @param crossEntropies FLOAT32 [S], nats
   * @param divergences FLOAT32 [S], KL(softmax(t / T) || softmax(s / T)) in nats, without the
   *     weight; NaN where the teacher's logits have one
   */
  public record Losses(Tensor crossEntropies, Tensor divergences) {}

  /**
   * With a tape, the gradients of {@code dloss (crossEntropies + weight divergences)} are formed in
   * one sweep with the losses.
   *
   * @param hidden [S, M]
   * @param weights [V, M]
   * @param logitCap soft cap of the student's logits; 0 for none
   * @param targets INT32 [S]; where it is -1, both losses are 0
   * @param dloss derivative of the objective by each token's loss
   */
  public static Losses forward(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      float logitCap,
      Teacher teacher,
      Tensor targets,
      float labelSmoothing,
      float dloss) {
    Tensor divergences = pass.allocate(DType.FLOAT32, hidden.size(0));
    LossKernels.Teacher written =
        new LossKernels.Teacher(
            teacher.temperature(),
            teacher.weight(),
            teacher.hidden(),
            teacher.weights(),
            divergences,
            teacher.logitCap());
    Tensor losses =
        CrossEntropyOp.forward(
            pass, hidden, weights, logitCap, written, targets, labelSmoothing, dloss);
    return new Losses(losses, divergences);
  }
}
