package panamoe.op;

import panamoe.comm.Communicator;
import panamoe.tensor.Tensor;

/**
 * Entry and exit of a computation that is sliced over tensor ranks (Megatron-LM's f and g, arXiv
 * 1909.08053 §3).
 */
public final class SliceOp {
  private SliceOp() {}

  /** x as the input of this rank's slice: the gradient is the sum over the slices. */
  public static Tensor enter(Pass pass, Tensor x, Communicator slices) {
    if (slices.size() == 1 || !pass.recording()) {
      return x;
    }
    // Another tensor over the same memory, so that the slice has a gradient of its own.
    Tensor y = pass.scope().over(x.address(), x.dtype(), x.shape());
    pass.tape()
        .record(
            () -> {
              Tensor dy = pass.tape().takeGradient(y);
              if (dy != null) {
                slices.allReduce(dy);
                pass.tape().addGradient(x, dy.owner());
              }
            });
    return y;
  }

  /**
   * Replaces y, this rank's part of a sum, by the sum over the slices. Every part gets the sum's
   * gradient.
   */
  public static Tensor leave(Pass pass, Tensor y, Communicator slices) {
    if (slices.size() > 1) {
      slices.allReduce(y);
    }
    return y;
  }
}
