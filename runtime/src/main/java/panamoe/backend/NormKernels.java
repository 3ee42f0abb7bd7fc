package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * LayerNorm and RMSNorm over the last dimension. x, y, dx, dy [S, M]; gamma, beta and their
 * gradients FLOAT32 [M]; mean, rstd FLOAT32 [S]. Gradients of gamma and beta are added to.
 */
public interface NormKernels {
  /** mean and rstd are null in inference. */
  void layerNormForward(
      Tensor x, Tensor gamma, Tensor beta, float epsilon, Tensor y, Tensor mean, Tensor rstd);

  void layerNormBackward(
      Tensor dy,
      Tensor x,
      Tensor gamma,
      Tensor mean,
      Tensor rstd,
      Tensor dx,
      Tensor dgamma,
      Tensor dbeta);

  /** rstd is null in inference. */
  void rmsNormForward(Tensor x, Tensor gamma, float epsilon, Tensor y, Tensor rstd);

  void rmsNormBackward(Tensor dy, Tensor x, Tensor gamma, Tensor rstd, Tensor dx, Tensor dgamma);
}
