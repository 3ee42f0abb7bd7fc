package panamoe.op;

import java.util.function.BiFunction;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Activation checkpointing: a segment's activations are freed after the forward, and the backward
 * computes them again with the same random numbers.
 */
public final class RecomputeOp {
  private RecomputeOp() {}

  /**
   * @param segment computes the output of x; it must not keep tensors of the pass it is given
   * @return the segment's output
   */
  public static Tensor forward(Pass pass, Tensor x, BiFunction<Pass, Tensor, Tensor> segment) {
    if (!pass.recording()) {
      return segment.apply(pass, x);
    }
    Pass before = pass.replayed(pass.scope(), null, RouteObserver.NONE);
    Tensor y;
    try (TensorScope discarded = TensorScope.confined(pass.backend())) {
      Pass forward = pass.replayed(discarded, null, pass.observer());
      Tensor result = segment.apply(forward, x);
      y = pass.allocate(result.dtype(), result.shape());
      pass.backend().copy(result, y);
      pass.continueAfter(forward);
    }
    pass.tape().record(y, dy -> backward(pass, before, x, segment, dy));
    return y;
  }

  private static void backward(
      Pass pass, Pass before, Tensor x, BiFunction<Pass, Tensor, Tensor> segment, Tensor dy) {
    pass.layers().close(); // the forward has added these layers
    Tape tape = pass.tape().fork();
    try (TensorScope scope = TensorScope.confined(pass.backend())) {
      Tensor again = segment.apply(before.replayed(scope, tape, RouteObserver.NONE), x);
      tape.addGradient(again, dy.owner());
      tape.backward();
      Tensor dx = tape.gradient(x);
      if (dx != null) {
        Tensor kept = pass.allocate(dx.dtype(), dx.shape());
        pass.backend().copy(dx, kept);
        pass.tape().addGradient(x, kept);
      }
    }
  }
}
