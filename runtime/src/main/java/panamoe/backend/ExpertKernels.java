package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * Grouped GEMM: rows {@code offsets[e]} to {@code offsets[e + 1]} are multiplied by expert e's
 * weights [E, N, K].
 */
public interface ExpertKernels {
  /**
   * {@code y = activation(x W_e^T + bias_e + addend)}; x [R, K]; y [R, N], for SwiGLU [R, N/2];
   * bias [E, N], addend and preactivation [R, N]; rows past the last group are not read.
   */
  void expertForward(
      Tensor x, Tensor offsets, Tensor weights, Tensor y, GemmKernels.Epilogue epilogue);

  /**
   * {@code dx = dy W_e}; dy is the gradient of the preactivation [R, N]. The weights may be packed;
   * no row is rounded.
   */
  void expertBackwardInput(Tensor dy, Tensor offsets, Tensor weights, Tensor dx);

  /**
   * {@code dweights_e = dy_e^T x_e}, or {@code +=} if {@code accumulate}; {@code dbias_e += }
   * column sums.
   *
   * @param dbias FLOAT32 [E, N] or null
   */
  void expertBackwardWeights(
      boolean accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights, Tensor dbias);
}
