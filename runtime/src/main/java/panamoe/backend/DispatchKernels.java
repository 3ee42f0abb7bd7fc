package panamoe.backend;

import panamoe.tensor.Tensor;

/** Tokens to rows grouped by expert. The row of a route is {@code offsets[expert] + position}. */
public interface DispatchKernels {
  /** x [S, M]; rows [R, M], R at least the kept routes; rows past them are left as they are. */
  void dispatchForward(Tensor x, Routes routes, Tensor rows);

  /** {@code dx[s]} = the sum of its routes' drows, in choice order. */
  void dispatchBackward(Tensor drows, Routes routes, Tensor dx);
}
