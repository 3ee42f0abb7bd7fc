package panamoe.harness.conformance.replay;

import panamoe.backend.Routes;
import panamoe.op.CombineOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Element-wise products, for gated activations that have no kernel. A product is a combine of
 * one-element tokens, whose single route has the one factor as its weight and the other as its row;
 * so both factors get their gradients from the combine's backward.
 */
public final class Product {
  private Product() {}

  /** {@code a * b} in the shape of b; FLOAT32 of equal count. */
  public static Tensor of(Replay replay, Tensor a, Tensor b) {
    long count = a.count();
    Tensor position = replay.scope().allocate(DType.INT32, count, 1);
    for (int i = 0; i < count; i++) {
      position.setInt(i, i);
    }
    Tensor expert = replay.scope().zeros(DType.INT32, count, 1);
    Tensor offsets = replay.integers(new long[] {0, count}, 2);
    Tensor counts = replay.integers(new long[] {count}, 1);
    Routes routes =
        new Routes(null, expert, position, a.reshape(count, 1), null, counts, offsets, null);
    Tensor product =
        CombineOp.forward(replay.pass(), b.reshape(count, 1), routes, null, null, null);
    return product.reshape(b.shape());
  }
}
