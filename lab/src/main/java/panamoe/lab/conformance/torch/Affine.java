package panamoe.lab.conformance.torch;

import panamoe.backend.Activation;
import panamoe.lab.conformance.replay.Replay;
import panamoe.op.LinearOp;
import panamoe.tensor.Tensor;

/**
 * {@code activation(factor * x + summand)} element by element: a linear layer from one input to one
 * output.
 */
final class Affine {
  private Affine() {}

  /** In the shape of x. */
  static Tensor of(Replay replay, Tensor x, float factor, float summand, Activation activation) {
    Tensor y =
        LinearOp.forward(
            replay.pass(),
            x.reshape(x.count(), 1),
            replay.constant(factor, 1, 1),
            replay.constant(summand, 1),
            activation);
    return y.reshape(x.shape());
  }
}
