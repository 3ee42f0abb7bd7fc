package panamoe.op;

import panamoe.backend.Routes;
import panamoe.tensor.Tensor;

/** Tokens to rows grouped by expert. */
public final class DispatchOp {
  private DispatchOp() {}

  /** x [S, M] to [S * K, M]; rows past the kept routes are undefined. */
  public static Tensor forward(Pass pass, Tensor x, Routes routes) {
    Tensor rows = pass.allocate(x.dtype(), routes.tokens() * routes.topK(), x.size(1));
    pass.backend().dispatchForward(x, routes, rows);
    if (pass.recording()) {
      pass.tape()
          .record(
              rows,
              drows -> {
                Tensor dx = pass.allocate(x.dtype(), x.shape());
                pass.backend().dispatchBackward(drows, routes, dx);
                pass.tape().addGradient(x, dx);
                drows.owner().release();
              });
    }
    return rows;
  }
}
