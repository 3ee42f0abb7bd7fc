package panamoe.op;

import panamoe.tensor.Tensor;

/** Clamps every element: the clip_qkv of OLMoE and DBRX. */
public final class ClampOp {
  private ClampOp() {}

  /**
   * {@code min(max(x, -bound), bound)}, in the shape and dtype of x.
   *
   * @param bound finite, 0 or more
   * @throws IllegalArgumentException if it is not
   */
  public static Tensor forward(Pass pass, Tensor x, float bound) {
    Tensor y = pass.allocate(x.dtype(), x.shape());
    pass.backend().clampForward(bound, x, y);
    pass.record(
        y,
        dy -> {
          pass.backend().clampBackward(bound, x, dy, dy);
          pass.tape().addGradient(x, dy.owner());
        });
    return y;
  }
}
