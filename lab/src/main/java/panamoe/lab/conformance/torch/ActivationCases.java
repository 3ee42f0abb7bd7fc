package panamoe.lab.conformance.torch;

import java.util.Arrays;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.LossKernels;
import panamoe.config.GateConfig;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.op.LinearOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** PyTorch's activations: those with a kernel, and those composed of kernels. */
public final class ActivationCases {
  private ActivationCases() {}

  /** The activation in the case's name. */
  public static void kernel(Replay replay) {
    Activation activation = Layouts.activation(replay.golden().kind());
    Tensor x = row(replay, "x");
    Tensor y = replay.scope().allocate(DType.FLOAT32, x.shape());
    replay.backend().activationForward(activation, x, y);
    replay.close("out", y.toFloats());
    Tensor dx = replay.scope().allocate(DType.FLOAT32, x.shape());
    replay.backend().activationBackward(activation, x, row(replay, "upstream"), dx);
    replay.close("grad.x", dx.toFloats());
  }

  /** {@code x sigmoid(1.702 x) = silu(1.702 x) / 1.702}. */
  public static void quickGelu(Replay replay) {
    Tensor silu = affine(replay, replay.input("x"), 1.702f, 0, Activation.SILU);
    finish(replay, affine(replay, silu, 1 / 1.702f, 0, Activation.IDENTITY));
  }

  /** The score of a sigmoid gate with one expert. */
  public static void sigmoid(Replay replay) {
    finish(replay, sigmoidOf(replay, replay.input("x")));
  }

  /** {@code tanh(x) = 2 sigmoid(2 x) - 1}. */
  public static void tanh(Replay replay) {
    Tensor doubled = affine(replay, replay.input("x"), 2, 0, Activation.IDENTITY);
    Tensor sigmoid = sigmoidOf(replay, doubled);
    finish(replay, affine(replay, sigmoid, 2, -1, Activation.IDENTITY));
  }

  /**
   * {@code ln(1 + e^x)} is the cross-entropy of the logits (x, 0) and the second class; its
   * gradient is the sigmoid.
   */
  public static void softplus(Replay replay) {
    float[] x = replay.golden().floats("x");
    Axes inPairs = Axes.of(2, x.length).as(1, 0);
    float[] logits = inPairs.ordered(Layouts.concatenated(x, new float[x.length]));
    long[] second = new long[x.length];
    Arrays.fill(second, 1);
    Tensor losses = replay.scope().allocate(DType.FLOAT32, x.length);
    Tensor dlogits = replay.scope().allocate(DType.FLOAT32, x.length, 2);
    replay
        .backend()
        .crossEntropy(
            new LossKernels.Tokens(replay.integers(second, x.length), 0, 1, losses, 0),
            replay.tensor(logits, x.length, 2),
            dlogits);
    replay.close("out", losses.toFloats());
    float[] upstream = replay.golden().floats("upstream");
    float[] gradient = inPairs.restored(dlogits.toFloats());
    replay.close("grad.x", Layouts.floats(x.length, i -> gradient[i] * upstream[i]));
    replay.note("no kernel of this name: computed as the cross-entropy of (x, 0)");
  }

  /**
   * Elementwise {@code activation(factor * x + summand)}: a linear layer with one input and one
   * output.
   */
  private static Tensor affine(
      Replay replay, Tensor x, float factor, float summand, Activation activation) {
    return LinearOp.forward(
            replay.pass(),
            x.reshape(x.count(), 1),
            replay.constant(factor, 1, 1),
            replay.constant(summand, 1),
            activation)
        .reshape(x.shape());
  }

  private static Tensor sigmoidOf(Replay replay, Tensor x) {
    GateSettings sigmoid =
        Gates.dropless(1, false, Score.SIGMOID, GateConfig.RouteWeight.of(Normalization.RAW))
            .settings(x.count(), 1, true);
    return replay.route(sigmoid, x.reshape(x.count(), 1)).weight();
  }

  private static void finish(Replay replay, Tensor out) {
    replay.compare(out);
    replay.note("no kernel of this name: composed of other kernels");
  }

  private static Tensor row(Replay replay, String name) {
    float[] values = replay.golden().floats(name);
    return replay.tensor(values, 1, values.length);
  }
}
