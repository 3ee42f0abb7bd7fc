package panamoe.op;

import panamoe.backend.CombineKernels;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Tokens to rows grouped by expert. */
public final class DispatchOp {
  private DispatchOp() {}

  /** x [S, M] to [S * K, M]; rows past the kept routes are undefined. */
  public static Tensor forward(Pass pass, Tensor x, Routes routes) {
    Tensor rows = pass.allocate(x.dtype(), routes.tokens() * routes.topK(), x.size(1));
    pass.backend().dispatchForward(x, routes, rows);
    pass.record(
        rows,
        drows -> {
          Tensor dx = pass.allocate(x.dtype(), x.shape());
          pass.backend().dispatchBackward(drows, routes, dx);
          pass.tape().addGradient(x, dx);
          drows.owner().release();
        });
    return rows;
  }

  /**
   * Like {@link #forward}, each row times its route's weight. This is the adjoint of combine, and
   * runs its kernels.
   */
  public static Tensor weighted(Pass pass, Tensor x, Routes routes) {
    Tensor plain = pass.allocate(x.dtype(), routes.tokens() * routes.topK(), x.size(1));
    pass.backend().dispatchForward(x, routes, plain);
    Tensor rows = pass.allocate(x.dtype(), plain.shape());
    // The kernel also forms a gradient of the weights, which is not used here.
    Tensor unread = pass.allocate(DType.FLOAT32, routes.weight().shape());
    combineBackward(pass, x, plain, routes, rows, unread);
    if (pass.recording()) { // else the step may be replayed with these tensors
      plain.release();
      unread.release();
    }
    pass.record(rows, drows -> weightedBackward(pass, x, routes, drows));
    return rows;
  }

  private static void weightedBackward(Pass pass, Tensor x, Routes routes, Tensor drows) {
    Tensor dx = pass.allocate(x.dtype(), x.shape());
    pass.backend().combineForward(CombineKernels.Inputs.of(drows, null), routes, dx);
    Tensor dweight = pass.allocate(DType.FLOAT32, routes.weight().shape());
    Tensor unread = pass.allocate(x.dtype(), drows.shape());
    combineBackward(pass, x, drows, routes, unread, dweight);
    unread.release();
    pass.tape().addGradient(x, dx);
    pass.tape().addGradient(routes.weight(), dweight);
    drows.owner().release();
  }

  private static void combineBackward(
      Pass pass, Tensor dy, Tensor rows, Routes routes, Tensor drows, Tensor dweight) {
    pass.backend()
        .combineBackward(
            dy,
            CombineKernels.Inputs.of(rows, null),
            routes,
            new CombineKernels.Gradients(drows, dweight, null, null));
  }
}
