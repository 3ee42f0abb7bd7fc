package panamoe.op;

import panamoe.io.Require;
import panamoe.tensor.Tensor;

/** Shapes that several ops need. */
final class Shapes {
  private Shapes() {}

  /** x [..., N] as [S, N]. */
  static Tensor asRows(Tensor x) {
    Require.that(x.rank() != 0, "expected [..., N], got a scalar");
    return x.rank() == 2 ? x : x.reshape(tokens(x), x.size(-1));
  }

  /** The product of all sizes but the last. */
  static long tokens(Tensor x) {
    long tokens = 1;
    for (int axis = 0; axis < x.rank() - 1; axis++) {
      tokens *= x.size(axis);
    }
    return tokens;
  }
}
