package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * {@code y[s] = skip[s] + c0 * sum_k weight[s,k] rows[row(s,k)] + c1 * mlp[s]} with {@code (c0, c1)
 * = softmax(coefficient[s])}. Without mlp and coefficient (null together) c0 is 1; skip may be
 * null.
 */
public interface CombineKernels {
  /** rows [R, M]; mlp, skip, y [S, M]; coefficient FLOAT32 [S, 2]. */
  void combineForward(
      Tensor rows, Routes routes, Tensor mlp, Tensor coefficient, Tensor skip, Tensor y);

  /**
   * drows [R, M], dweight FLOAT32 [S, K], with a residual branch dmlp [S, M] and dcoefficient
   * FLOAT32 [S, 2].
   */
  void combineBackward(
      Tensor dy,
      Tensor rows,
      Routes routes,
      Tensor mlp,
      Tensor coefficient,
      Tensor drows,
      Tensor dweight,
      Tensor dmlp,
      Tensor dcoefficient);
}
