package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** {@code y = a + b}: a skip connection. */
public final class AddOp {
  private AddOp() {}

  /** a, b of equal count; y has the shape and dtype of a. */
  public static Tensor forward(Pass pass, Tensor a, Tensor b) {
    Tensor y = pass.allocate(a.dtype(), a.shape());
    pass.backend().add(1, a, 1, b, y);
    pass.record(y, dy -> backward(pass, a, b, dy));
    return y;
  }

  private static void backward(Pass pass, Tensor a, Tensor b, Tensor dy) {
    pass.tape().addGradient(b, copyOf(pass, dy, b.dtype()));
    pass.tape().addGradient(a, dy.owner());
  }

  /** Both terms get the sum's gradient, and each may be added to later. */
  static Tensor copyOf(Pass pass, Tensor x, DType dtype) {
    Tensor copy = pass.allocate(dtype, x.shape());
    pass.backend().cast(x, copy);
    return copy;
  }
}
