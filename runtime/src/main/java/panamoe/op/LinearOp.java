package panamoe.op;

import panamoe.backend.Activation;
import panamoe.backend.GemmKernels;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** {@code y = activation(x W^T + b)}. */
public final class LinearOp {
  private LinearOp() {}

  /** With the output in the dtype of x. */
  public static Tensor forward(
      Pass pass, Tensor x, Tensor weight, Tensor bias, Activation activation) {
    return forward(pass, x, weight, bias, activation, x.dtype());
  }

  /**
   * @param x [..., K]
   * @param weight [N, K], or packed (then without gradients)
   * @param bias FLOAT32 [N] or null
   * @return [S, N], S the product of x's leading sizes; for SwiGLU [S, N/2]
   */
  public static Tensor forward(
      Pass pass, Tensor x, Tensor weight, Tensor bias, Activation activation, DType outputDtype) {
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
            new GemmKernels.Epilogue(activation, bias, preactivation));
    pass.record(
        y,
        dy -> backward(pass, x, rows, weight, bias, activation, preactivation, dy),
        preactivation);
    return y;
  }

  private static void backward(
      Pass pass,
      Tensor x,
      Tensor rows,
      Tensor weight,
      Tensor bias,
      Activation activation,
      Tensor pre,
      Tensor dy) {
    Tape tape = pass.tape();
    Tensor dpre = dy;
    if (!activation.equals(Activation.IDENTITY)) {
      pass.backend().activationBackward(activation, pre, dy, pre);
      dpre = pre;
    }
    Tensor upstream = dpre;
    Gradient dweight = tape.gradientOf(weight);
    if (dweight != null) {
      dweight.add(
          (accumulate, sums) ->
              pass.backend()
                  .gemm(true, false, accumulate, upstream, rows, sums, GemmKernels.Epilogue.NONE));
    }
    Tensor dbias = tape.parameterGradient(bias);
    if (dbias != null) {
      pass.backend().columnSum(dpre, dbias);
    }
    Tensor dx = pass.allocate(x.dtype(), rows.shape());
    pass.backend().gemm(false, false, false, dpre, weight, dx, GemmKernels.Epilogue.NONE);
    tape.addGradient(x, dx);
    dy.owner().release();
  }
}
