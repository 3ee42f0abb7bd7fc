package panamoe.op;

import panamoe.backend.Activation;
import panamoe.backend.GemmKernels;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** {@code y = activation(x W^T + b + addend)}. */
public final class LinearOp {
  /** The forward's inputs, which the backward reads again; rows is x as a matrix. */
  private record Inputs(Tensor x, Tensor rows, Tensor weight, Tensor bias, Tensor addend) {}

  private LinearOp() {}

  /** With the output in the dtype of x. */
  public static Tensor forward(
      Pass pass, Tensor x, Tensor weight, Tensor bias, Activation activation) {
    return forward(pass, x, weight, bias, activation, x.dtype());
  }

  /** Without an addend. */
  public static Tensor forward(
      Pass pass, Tensor x, Tensor weight, Tensor bias, Activation activation, DType outputDtype) {
    return forward(pass, x, weight, bias, null, activation, outputDtype);
  }

  /**
   * @param x [..., K]
   * @param weight [N, K], or packed (then without a gradient)
   * @param bias FLOAT32 [N] or null
   * @param addend [S, N] or null; released if gradients are wanted, since no backward reads it
   * @return [S, N], S the product of x's leading sizes; for SwiGLU [S, N/2]
   */
  public static Tensor forward(
      Pass pass,
      Tensor x,
      Tensor weight,
      Tensor bias,
      Tensor addend,
      Activation activation,
      DType outputDtype) {
    Tensor rows = Shapes.asRows(x);
    if (weight.rank() != 2 || weight.size(1) != rows.size(1)) {
      throw new IllegalArgumentException("weight " + weight + " does not fit input " + x);
    }
    pass.observer().multiplied(weight, rows);
    long tokens = rows.size(0);
    long outputs = weight.size(0);
    Tensor y = pass.allocate(outputDtype, tokens, outputs / activation.inputsPerOutput());
    boolean saves = pass.recording() && !activation.equals(Activation.IDENTITY);
    Tensor preactivation = saves ? pass.allocate(outputDtype, tokens, outputs) : null;
    pass.backend()
        .gemm(
            false,
            true,
            false,
            rows,
            weight,
            y,
            new GemmKernels.Epilogue(activation, bias, preactivation, addend));
    pass.used(addend);
    pass.record(
        y,
        dy ->
            backward(
                pass, new Inputs(x, rows, weight, bias, addend), activation, preactivation, dy),
        addend == null ? preactivation : null); // otherwise the gradient of the addend
    return y;
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
    Gradient dweight = tape.gradientOf(inputs.weight);
    if (dweight != null) {
      dweight.add(
          (accumulate, sums) ->
              pass.backend()
                  .gemm(
                      true,
                      false,
                      accumulate,
                      upstream,
                      inputs.rows,
                      sums,
                      GemmKernels.Epilogue.NONE));
    }
    Tensor dbias = tape.parameterGradient(inputs.bias);
    if (dbias != null) {
      pass.backend().columnSum(dpre, dbias);
    }
    Tensor dx = pass.allocate(inputs.x.dtype(), inputs.rows.shape());
    pass.backend().gemm(false, false, false, dpre, inputs.weight, dx, GemmKernels.Epilogue.NONE);
    tape.addGradient(inputs.x, dx);
    tape.give(inputs.addend, dpre, dy);
  }
}
