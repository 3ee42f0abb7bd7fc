package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * LayerNorm and RMSNorm over the last dimension. x, y, dx, dy [S, M]; gamma, beta and their
 * gradients FLOAT32 [M]; mean, rstd FLOAT32 [S]. Gradients of gamma and beta are added to.
 */
public interface NormKernels {
  /**
   * A norm's parameters, and the statistics that the forward saves for the backward (null in
   * inference). RMSNorm has neither beta nor mean.
   *
   * @param beta null in a backward, which does not read it
   * @param epsilon 0 in a backward, which does not read it
   * @param offset added to gamma, finite
   */
  record Norm(Tensor gamma, Tensor beta, float epsilon, Tensor mean, Tensor rstd, float offset) {
    /** Without an offset. */
    public Norm(Tensor gamma, Tensor beta, float epsilon, Tensor mean, Tensor rstd) {
      this(gamma, beta, epsilon, mean, rstd, 0);
    }
  }

  void layerNormForward(Norm norm, Tensor x, Tensor y);

  void layerNormBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta);

  void rmsNormForward(Norm norm, Tensor x, Tensor y);

  void rmsNormBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma);
}
