package panamoe.op;

import panamoe.backend.NormKernels.Norm;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** LayerNorm, or RMSNorm when there is no beta, over the last dimension. */
public final class NormOp {
  private NormOp() {}

  /** RMSNorm without weights. */
  public static Tensor forward(Pass pass, Tensor x, float epsilon) {
    Tensor ones = pass.allocate(DType.FLOAT32, x.size(x.shape().length - 1));
    pass.backend().fill(1, ones);
    return forward(pass, x, ones, null, epsilon, 0);
  }

  /**
   * @param x [..., M]
   * @param gamma FLOAT32 [M]
   * @param beta FLOAT32 [M] for LayerNorm, null for RMSNorm
   * @param offset added to gamma
   */
  public static Tensor forward(
      Pass pass, Tensor x, Tensor gamma, Tensor beta, float epsilon, float offset) {
    Tensor rows = Shapes.asRows(x);
    Tensor y = pass.allocate(x.dtype(), rows.shape());
    boolean centered = beta != null;
    Tensor rstd = pass.recording() ? pass.allocate(DType.FLOAT32, rows.size(0)) : null;
    Tensor mean = pass.recording() && centered ? pass.allocate(DType.FLOAT32, rows.size(0)) : null;
    Norm norm = new Norm(gamma, beta, epsilon, mean, rstd, offset);
    if (centered) {
      pass.backend().layerNormForward(norm, rows, y);
    } else {
      pass.backend().rmsNormForward(norm, rows, y);
    }
    pass.record(y, dy -> backward(pass, x, rows, norm, dy), mean, rstd);
    return y;
  }

  private static void backward(Pass pass, Tensor x, Tensor rows, Norm norm, Tensor dy) {
    Tape tape = pass.tape();
    Tensor dx = pass.allocate(x.dtype(), rows.shape());
    Tensor dgamma = tape.parameterGradientOrScratch(norm.gamma(), pass.scope());
    if (norm.beta() == null) {
      pass.backend().rmsNormBackward(norm, rows, dy, dx, dgamma);
    } else {
      Tensor dbeta = tape.parameterGradientOrScratch(norm.beta(), pass.scope());
      pass.backend().layerNormBackward(norm, rows, dy, dx, dgamma, dbeta);
    }
    tape.addGradient(x, dx);
    dy.owner().release();
  }
}
