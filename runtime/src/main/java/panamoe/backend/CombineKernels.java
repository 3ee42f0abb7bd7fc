package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * {@code y[s] = skip[s] + c0 * sum_k weight[s,k] rows[row(s,k)] + c1 * mlp[s]} with {@code (c0, c1)
 * = softmax(coefficient[s])}. Without mlp and coefficient (null together) c0 is 1; skip may be
 * null.
 */
public interface CombineKernels {
  /**
   * @param rows [R, M]
   * @param mlp [S, M], the fixed MLP of a Residual MoE, or null
   * @param coefficient FLOAT32 [S, 2] or null
   * @param skip [S, M] or null; the backward does not read it
   */
  record Inputs(Tensor rows, Tensor mlp, Tensor coefficient, Tensor skip) {
    /** Without a residual branch. */
    public static Inputs of(Tensor rows, Tensor skip) {
      return new Inputs(rows, null, null, skip);
    }
  }

  /**
   * Gradients of the inputs; the last two are null without a residual branch.
   *
   * @param dweight FLOAT32 [S, K], of the routes' weights
   */
  record Gradients(Tensor drows, Tensor dweight, Tensor dmlp, Tensor dcoefficient) {}

  /** y [S, M]. */
  void combineForward(Inputs inputs, Routes routes, Tensor y);

  void combineBackward(Tensor dy, Inputs inputs, Routes routes, Gradients gradients);
}
