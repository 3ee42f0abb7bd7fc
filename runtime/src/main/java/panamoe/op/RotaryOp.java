package panamoe.op;

import panamoe.tensor.Tensor;

/** Rotary position embedding of queries or keys. */
public final class RotaryOp {
  private RotaryOp() {}

  /**
   * @param x [S, N, D]
   * @param positions INT32 [S]
   * @param cosine FLOAT32 [P, R/2]
   * @param sine FLOAT32 [P, R/2]
   * @param adjacent whether pairs are (2i, 2i + 1) instead of (i, i + R/2)
   */
  public static Tensor forward(
      Pass pass, Tensor x, Tensor positions, Tensor cosine, Tensor sine, boolean adjacent) {
    Tensor y = pass.allocate(x.dtype(), x.shape());
    pass.backend().rotary(x, positions, cosine, sine, adjacent, 1, y);
    pass.record(
        y,
        dy -> {
          pass.backend().rotary(dy, positions, cosine, sine, adjacent, -1, dy);
          pass.tape().addGradient(x, dy.owner());
        });
    return y;
  }
}
