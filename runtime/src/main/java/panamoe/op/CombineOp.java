package panamoe.op;

import panamoe.backend.CombineKernels.Gradients;
import panamoe.backend.CombineKernels.Inputs;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Expert rows back to tokens, with the residual branch and the skip connection in the same pass
 * over memory.
 */
public final class CombineOp {
  private CombineOp() {}

  /** Returns [S, M]. */
  public static Tensor forward(Pass pass, Inputs inputs, Routes routes) {
    Tensor rows = inputs.rows();
    Tensor y = pass.allocate(rows.dtype(), routes.tokens(), rows.size(1));
    forwardInto(pass, inputs, routes, y);
    return y;
  }

  /** Like {@link #forward}, into the caller's tensor y [S, M]. */
  public static void forwardInto(Pass pass, Inputs inputs, Routes routes, Tensor y) {
    pass.backend().combineForward(inputs, routes, y);
    pass.record(y, dy -> backward(pass, inputs, routes, dy));
  }

  private static void backward(Pass pass, Inputs inputs, Routes routes, Tensor dy) {
    Tape tape = pass.tape();
    boolean residual = inputs.mlp() != null;
    Gradients gradients =
        new Gradients(
            pass.allocate(inputs.rows().dtype(), inputs.rows().shape()),
            pass.allocate(DType.FLOAT32, routes.weight().shape()),
            residual ? pass.allocate(inputs.mlp().dtype(), inputs.mlp().shape()) : null,
            residual ? pass.allocate(DType.FLOAT32, inputs.coefficient().shape()) : null);
    pass.backend().combineBackward(dy, inputs, routes, gradients);
    tape.addGradient(inputs.rows(), gradients.drows());
    tape.addGradient(routes.weight(), gradients.dweight());
    if (residual) {
      tape.addGradient(inputs.mlp(), gradients.dmlp());
      tape.addGradient(inputs.coefficient(), gradients.dcoefficient());
    }
    if (inputs.skip() != null) {
      tape.addGradient(inputs.skip(), dy.owner());
    } else {
      dy.owner().release();
    }
  }
}
