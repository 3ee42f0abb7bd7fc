package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** {@code y = a + factor b}: a skip connection. */
public final class AddOp {
  private AddOp() {}

  /** a, b of equal count; y has the shape and dtype of a. */
  public static Tensor forward(Pass pass, Tensor a, Tensor b) {
    return forward(pass, a, null, b);
  }

  /**
   * Like {@link #forward(Pass, Tensor, Tensor)}, with a factor of b.
   *
   * @param factor null: 1
   */
  public static Tensor forward(Pass pass, Tensor a, Double factor, Tensor b) {
    Tensor y = pass.allocate(a.dtype(), a.shape());
    forwardInto(pass, a, factor, b, y);
    return y;
  }

  /** Like {@link #forward(Pass, Tensor, Double, Tensor)}, into the caller's tensor y. */
  public static void forwardInto(Pass pass, Tensor a, Double factor, Tensor b, Tensor y) {
    float by = factor == null ? 1 : factor.floatValue();
    pass.backend().add(1, a, by, b, y);
    pass.record(y, dy -> backward(pass, a, by, b, dy));
  }

  private static void backward(Pass pass, Tensor a, float factor, Tensor b, Tensor dy) {
    Tensor db = copyOf(pass, dy, b.dtype());
    if (factor != 1) {
      pass.backend().add(factor, db, 0, db, db);
    }
    pass.tape().addGradient(b, db);
    pass.tape().addGradient(a, dy.owner());
  }

  /** Both terms get the sum's gradient, and each may be added to later. */
  static Tensor copyOf(Pass pass, Tensor x, DType dtype) {
    Tensor copy = pass.allocate(dtype, x.shape());
    pass.backend().cast(x, copy);
    return copy;
  }
}
