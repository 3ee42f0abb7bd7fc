package panamoe.op;

import panamoe.tensor.Tensor;

/** {@code y = factor x}. */
public final class ScaleOp {
  private ScaleOp() {}

  /**
   * In the shape and dtype of x.
   *
   * @param factor null: 1, which gives x itself
   */
  public static Tensor forward(Pass pass, Tensor x, Double factor) {
    if (factor == null) {
      return x;
    }
    float by = factor.floatValue();
    Tensor y = pass.allocate(x.dtype(), x.shape());
    pass.backend().add(by, x, 0, x, y);
    pass.record(
        y,
        dy -> {
          pass.backend().add(by, dy, 0, dy, dy);
          pass.tape().addGradient(x, dy.owner());
        });
    return y;
  }
}
