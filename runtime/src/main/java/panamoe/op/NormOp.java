package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** LayerNorm, or RMSNorm when there is no beta, over the last dimension. */
public final class NormOp {
  private NormOp() {}

  /**
   * @param x [..., M]
   * @param gamma FLOAT32 [M]
   * @param beta FLOAT32 [M] for LayerNorm, null for RMSNorm
   */
  public static Tensor forward(Pass pass, Tensor x, Tensor gamma, Tensor beta, float epsilon) {
    Tensor rows = Shapes.asRows(x);
    Tensor y = pass.allocate(x.dtype(), rows.shape());
    Tensor rstd = pass.recording() ? pass.allocate(DType.FLOAT32, rows.size(0)) : null;
    if (beta == null) {
      pass.backend().rmsNormForward(rows, gamma, epsilon, y, rstd);
      if (pass.recording()) {
        pass.tape().record(y, dy -> backward(pass, x, rows, gamma, null, null, rstd, dy), rstd);
      }
    } else {
      Tensor mean = pass.recording() ? pass.allocate(DType.FLOAT32, rows.size(0)) : null;
      pass.backend().layerNormForward(rows, gamma, beta, epsilon, y, mean, rstd);
      if (pass.recording()) {
        pass.tape()
            .record(y, dy -> backward(pass, x, rows, gamma, beta, mean, rstd, dy), mean, rstd);
      }
    }
    return y;
  }

  private static void backward(
      Pass pass,
      Tensor x,
      Tensor rows,
      Tensor gamma,
      Tensor beta,
      Tensor mean,
      Tensor rstd,
      Tensor dy) {
    Tape tape = pass.tape();
    Tensor dx = pass.allocate(x.dtype(), rows.shape());
    Tensor dgamma = tape.parameterGradientOrScratch(gamma, pass.scope());
    if (beta == null) {
      pass.backend().rmsNormBackward(dy, rows, gamma, rstd, dx, dgamma);
    } else {
      Tensor dbeta = tape.parameterGradientOrScratch(beta, pass.scope());
      pass.backend().layerNormBackward(dy, rows, gamma, mean, rstd, dx, dgamma, dbeta);
    }
    tape.addGradient(x, dx);
    dy.owner().release();
  }
}
