package panamoe.op;

import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Expert rows back to tokens, with the residual branch and the skip connection in the same pass
 * over memory.
 */
public final class CombineOp {
  private CombineOp() {}

  /**
   * @param rows [R, M]
   * @param mlp [S, M], the fixed MLP of a Residual MoE, or null
   * @param coefficient FLOAT32 [S, 2], given with mlp
   * @param skip [S, M] or null
   * @return [S, M]
   */
  public static Tensor forward(
      Pass pass, Tensor rows, Routes routes, Tensor mlp, Tensor coefficient, Tensor skip) {
    Tensor y = pass.allocate(rows.dtype(), routes.tokens(), rows.size(1));
    forwardInto(pass, rows, routes, mlp, coefficient, skip, y);
    return y;
  }

  /** As {@link #forward}, into a tensor y [S, M] that the caller has. */
  public static void forwardInto(
      Pass pass,
      Tensor rows,
      Routes routes,
      Tensor mlp,
      Tensor coefficient,
      Tensor skip,
      Tensor y) {
    pass.backend().combineForward(rows, routes, mlp, coefficient, skip, y);
    if (pass.recording()) {
      pass.tape().record(y, dy -> backward(pass, rows, routes, mlp, coefficient, skip, dy));
    }
  }

  private static void backward(
      Pass pass,
      Tensor rows,
      Routes routes,
      Tensor mlp,
      Tensor coefficient,
      Tensor skip,
      Tensor dy) {
    Tape tape = pass.tape();
    Tensor drows = pass.allocate(rows.dtype(), rows.shape());
    Tensor dweight = pass.allocate(DType.FLOAT32, routes.weight().shape());
    Tensor dmlp = mlp == null ? null : pass.allocate(mlp.dtype(), mlp.shape());
    Tensor dcoefficient = mlp == null ? null : pass.allocate(DType.FLOAT32, coefficient.shape());
    pass.backend()
        .combineBackward(dy, rows, routes, mlp, coefficient, drows, dweight, dmlp, dcoefficient);
    tape.addGradient(rows, drows);
    tape.addGradient(routes.weight(), dweight);
    if (mlp != null) {
      tape.addGradient(mlp, dmlp);
      tape.addGradient(coefficient, dcoefficient);
    }
    if (skip != null) {
      tape.addGradient(skip, dy.owner());
    } else {
      dy.owner().release();
    }
  }
}
