package panamoe.backend;

import panamoe.tensor.Tensor;

/** AdamW and the gradient norm. */
public interface OptimizerKernels {
  /**
   * The numbers of one step of AdamW.
   *
   * @param gradientScale factor of the gradient (clipping)
   * @param step from 1
   */
  record AdamW(
      float learningRate,
      float beta1,
      float beta2,
      float epsilon,
      float weightDecay,
      float gradientScale,
      long step) {}

  /**
   * One step of AdamW with decoupled decay, in PyTorch's order. All FLOAT32 of equal count.
   *
   * @param copy BFLOAT16 of equal count, or null: receives the new parameter
   */
  void adamwStep(
      AdamW config,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      Tensor copy);

  /** {@code sum[0] = sum_i x[i]^2}; FLOAT32 [1]; the same bits on every thread count. */
  void squareSum(Tensor x, Tensor sum);
}
