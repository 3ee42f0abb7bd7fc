package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Multiplies every element by a random number near 1 (Switch Transformer's router jitter). */
public final class JitterOp {
  private JitterOp() {}

  /**
   * x [S, M] times fresh uniform numbers from 1 - epsilon to 1 + epsilon, as FLOAT32. The backward
   * generates the same numbers again.
   */
  public static Tensor forward(Pass pass, Tensor x, float epsilon) {
    Tensor y = pass.allocate(DType.FLOAT32, x.shape());
    long offset = pass.advance(y.count());
    pass.backend().jitter(pass.seed(), offset, epsilon, x, y);
    pass.record(
        y,
        dy -> {
          Tensor dx = pass.allocate(x.dtype(), x.shape());
          pass.backend().jitter(pass.seed(), offset, epsilon, dy, dx);
          pass.tape().addGradient(x, dx);
          dy.owner().release();
        });
    return y;
  }
}
