package panamoe.op;

import panamoe.backend.Activation;
import panamoe.backend.GemmKernels;
import panamoe.tensor.Tensor;

/** Each expert's linear layer on its own rows: a grouped GEMM over uneven groups. */
public final class ExpertOp {
  /** The forward's inputs, which the backward reads again. */
  private record Inputs(Tensor x, Tensor offsets, Tensor weights, Tensor bias, Tensor addend) {}

  private ExpertOp() {}

  /** Without an addend. */
  public static Tensor forward(
      Pass pass, Tensor x, Tensor offsets, Tensor weights, Tensor bias, Activation activation) {
    return forward(pass, x, offsets, weights, bias, null, activation);
  }

  /**
   * @param x [R, K]
   * @param offsets INT32 [E + 1]
   * @param weights [E, N, K], or packed (then without a gradient)
   * @param bias FLOAT32 [E, N] or null
   * @param addend of the products, [R, N] or null; released as that of {@link LinearOp}
   * @return [R, N], for SwiGLU [R, N/2]; rows past {@code offsets[E]} undefined
   */
  public static Tensor forward(
      Pass pass,
      Tensor x,
      Tensor offsets,
      Tensor weights,
      Tensor bias,
      Tensor addend,
      Activation activation) {
    long outputs = weights.size(1) / activation.inputsPerOutput();
    Tensor y = pass.allocate(x.dtype(), x.size(0), outputs);
    forwardInto(pass, x, offsets, weights, bias, addend, activation, y);
    return y;
  }

  /** Like {@link #forward}, into the caller's tensor y. */
  public static void forwardInto(
      Pass pass,
      Tensor x,
      Tensor offsets,
      Tensor weights,
      Tensor bias,
      Tensor addend,
      Activation activation,
      Tensor y) {
    if (weights.rank() != 3 || weights.size(2) != x.size(1)) {
      throw new IllegalArgumentException("expert weights " + weights + " do not fit rows " + x);
    }
    pass.observer().multiplied(weights, x, offsets);
    boolean saves = pass.recording() && !activation.equals(Activation.IDENTITY);
    Tensor preactivation = saves ? pass.allocate(x.dtype(), x.size(0), weights.size(1)) : null;
    pass.backend()
        .expertForward(
            x,
            offsets,
            weights,
            y,
            new GemmKernels.Epilogue(activation, bias, preactivation, addend));
    pass.used(addend);
    Inputs inputs = new Inputs(x, offsets, weights, bias, addend);
    pass.record(
        y,
        dy -> backward(pass, inputs, activation, preactivation, dy),
        addend == null ? preactivation : null); // otherwise the gradient of the addend
  }

  private static void backward(
      Pass pass, Inputs inputs, Activation activation, Tensor pre, Tensor dy) {
    Tape tape = pass.tape();
    Tensor dpre = dy;
    if (!activation.equals(Activation.IDENTITY)) {
      pass.backend().activationBackward(activation, pre, dy, pre);
      dpre = pre;
    }
    Tensor upstream = dpre;
    Gradient dweights = tape.gradientOf(inputs.weights);
    if (dweights != null) {
      Tensor dbias = tape.parameterGradient(inputs.bias);
      dweights.add(
          (accumulate, sums) ->
              pass.backend()
                  .expertBackwardWeights(
                      accumulate, upstream, inputs.x, inputs.offsets, sums, dbias));
    }
    Tensor dx = pass.allocate(inputs.x.dtype(), inputs.x.shape());
    pass.backend().expertBackwardInput(dpre, inputs.offsets, inputs.weights, dx);
    tape.addGradient(inputs.x, dx);
    tape.give(inputs.addend, dpre, dy);
  }
}
