package panamoe.param;

import panamoe.backend.Activation;
import panamoe.io.Require;
import panamoe.op.AdapterRows;
import panamoe.op.DropoutOp;
import panamoe.op.ExpertOp;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.op.ScaleOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The low-rank adapter of a matrix W [N, K], which adds {@code s (x A^T) B^T} to the product {@code
 * x W^T}; of stacked matrices, one adapter for each. In a model with n adapters to choose from, A
 * and B have a dimension of n before their last two, and each row has one of them ({@link
 * AdapterRows}).
 *
 * @param a A [r, K] or [E, r, K]
 * @param b B [N, r] or [E, N, r]
 * @param scale s
 * @param dropout the share of x's elements that A does not see in training
 * @param choices n; 0: there is one adapter, of all rows
 */
public record Adapter(Parameter a, Parameter b, float scale, float dropout, int choices) {
  /**
   * What the adapter of a matrix adds to its product.
   *
   * @param matrix [N, K]
   * @param x [..., K]
   * @return [S, N] in {@code dtype}; null if it has none, or the pass is without adapters
   */
  public static Tensor terms(Pass pass, Parameter matrix, Tensor x, DType dtype) {
    Adapter adapter = matrix.adapter();
    if (adapter != null && adapter.choices > 0) {
      return pass.adapters() == null
          ? null
          : adapter.chosen(pass, x.reshape(x.count() / x.size(-1), x.size(-1)), dtype);
    }
    Tensor t = inner(pass, matrix, x);
    return t == null
        ? null
        : LinearOp.forward(pass, t, adapter.b.value(), null, Activation.IDENTITY, dtype);
  }

  private Tensor chosen(Pass pass, Tensor x, DType dtype) {
    Tensor offsets = pass.adapters().offsets();
    int[] starts = pass.adapters().starts();
    Require.that(
        x.size(0) == starts[choices],
        "%s gets %s rows, but adapters were chosen for %s",
        a.name(),
        x.size(0),
        starts[choices]);
    Tensor t = ExpertOp.forward(pass, x, offsets, a.value(), null, Activation.IDENTITY);
    Tensor y = pass.allocate(dtype, x.size(0), b.value().size(1));
    ExpertOp.forwardInto(pass, t, offsets, b.value(), null, null, Activation.IDENTITY, y);
    return y;
  }

  /** {@code s x A^T} [S, r]; null as {@link #terms(Pass, Parameter, Tensor, DType)}. */
  public static Tensor inner(Pass pass, Parameter matrix, Tensor x) {
    Adapter adapter = matrix.adapter();
    return adapter == null || adapter.choices > 0 || !pass.adapted()
        ? null
        : adapter.scaled(
            pass,
            LinearOp.forward(
                pass, adapter.seen(pass, x), adapter.a.value(), null, Activation.IDENTITY));
  }

  /**
   * What the adapters of stacked matrices add to their products.
   *
   * @param stack [E, N, K]
   * @param x [R, K], rows of {@code experts}
   * @return [R, N] in the dtype of x; null as {@link #terms(Pass, Parameter, Tensor, DType)}
   */
  public static Tensor terms(Pass pass, Parameter stack, Tensor x, ResidentExperts experts) {
    Adapter adapter = stack.adapter();
    if (adapter == null || !pass.adapted() || adapter.choices > 0 && experts.groups() == null) {
      return null;
    }
    Tensor t = adapter.product(pass, adapter.seen(pass, x), experts, adapter.a);
    return adapter.product(pass, adapter.scaled(pass, t), experts, adapter.b);
  }

  private Tensor product(Pass pass, Tensor x, ResidentExperts experts, Parameter factor) {
    Tensor matrices = experts.of(factor);
    if (choices > 0 && matrices.rank() == 4) {
      long[] shape = matrices.shape();
      matrices = matrices.reshape(shape[0] * shape[1], shape[2], shape[3]);
    }
    Tensor rows = choices > 0 ? experts.groups() : experts.offsets();
    return ExpertOp.forward(pass, x, rows, matrices, null, Activation.IDENTITY);
  }

  private Tensor seen(Pass pass, Tensor x) {
    return pass.training() && dropout > 0 ? DropoutOp.forward(pass, x, dropout, a.name()) : x;
  }

  /**
   * Times s, and times the inverse of the share that dropout leaves; B of several adapters has s.
   */
  private Tensor scaled(Pass pass, Tensor t) {
    return choices > 0
        ? t
        : ScaleOp.forward(pass, t, (double) scale / (pass.training() ? 1 - dropout : 1));
  }
}
