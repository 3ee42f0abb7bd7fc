package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Multiplies every element by its own factor; the factors get no gradient. */
public final class JitterOp {
  private JitterOp() {}

  /** x [S, M] times factors FLOAT32 [S, M], as FLOAT32. The factors are released with the op. */
  public static Tensor forward(Pass pass, Tensor x, Tensor factors) {
    Tensor y = product(pass, x, factors);
    if (pass.recording()) {
      pass.tape()
          .record(
              y,
              dy -> {
                Tensor dx = product(pass, dy, factors);
                pass.tape()
                    .addGradient(
                        x, x.dtype() == dx.dtype() ? dx : AddOp.copyOf(pass, dx, x.dtype()));
                dy.owner().release();
              },
              factors);
    }
    return y;
  }

  private static Tensor product(Pass pass, Tensor x, Tensor factors) {
    Tensor y = pass.allocate(DType.FLOAT32, x.shape());
    for (long i = 0, count = y.count(); i < count; i++) {
      y.setFloat(i, x.getFloat(i) * factors.getFloat(i));
    }
    return y;
  }
}
