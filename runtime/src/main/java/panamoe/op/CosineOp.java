package panamoe.op;

import panamoe.backend.GemmKernels.Epilogue;
import panamoe.backend.NormKernels.Norm;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Cosines of tokens and experts times a learned scale: {@code logits[s, e] = exp(min(t, ln 100))
 * cos(z[s], v[e])}. The tokens' norm applies the scale, so that the host need not read it.
 */
public final class CosineOp {
  /** Largest logarithm of the scale; a larger t gets no gradient. */
  private static final float MOST = (float) Math.log(100);

  /** Epsilon of RMSNorm: a row of zeros has cosines of 0. */
  private static final float EPSILON = 1e-24f;

  private CosineOp() {}

  /**
   * @param z FLOAT32 [S, P]
   * @param vectors FLOAT32 [E, P], a parameter
   * @param temperature FLOAT32 [1], a parameter: t, the logarithm of the scale
   * @return FLOAT32 [S, E]
   */
  public static Tensor forward(Pass pass, Tensor z, Tensor vectors, Tensor temperature) {
    Tensor logits = pass.allocate(DType.FLOAT32, z.size(0), vectors.size(0));
    Tensor scale = pass.allocate(DType.FLOAT32, 1);
    pass.backend().expForward(MOST, temperature, scale);
    // RMSNorm of P rows of one 1 with gamma = scale copies the scale P times. Its backward adds up
    // their gradients.
    Rows scales = Rows.of(pass, filled(pass, 1, z.size(1), 1), scale);
    // RMSNorm gives a row of P elements the length sqrt(P) * gamma: with gamma = scale here and 1 /
    // P below, products are scale * cosine.
    Rows tokens = Rows.of(pass, z, scales.normal.reshape(z.size(1)));
    Rows experts = Rows.of(pass, vectors, filled(pass, 1f / z.size(1), z.size(1)));
    pass.backend().gemm(false, true, false, tokens.normal, experts.normal, logits, Epilogue.NONE);
    pass.record(
        logits,
        dlogits -> {
          backward(pass, scales, tokens, experts, temperature, dlogits);
          dlogits.owner().release();
        },
        scale,
        scales.rows,
        scales.normal,
        scales.rstd,
        experts.gamma,
        tokens.normal,
        tokens.rstd,
        experts.normal,
        experts.rstd);
    return logits;
  }

  private static Tensor filled(Pass pass, float value, long... shape) {
    Tensor y = pass.allocate(DType.FLOAT32, shape);
    pass.backend().fill(value, y);
    return y;
  }

  /** Rows, and the rows normalised to the length that {@code gamma} gives. */
  private record Rows(Tensor rows, Tensor gamma, Tensor rstd, Tensor normal) {
    static Rows of(Pass pass, Tensor rows, Tensor gamma) {
      Tensor rstd = pass.recording() ? pass.allocate(DType.FLOAT32, rows.size(0)) : null;
      Tensor normal = pass.allocate(DType.FLOAT32, rows.shape());
      pass.backend().rmsNormForward(new Norm(gamma, null, EPSILON, null, rstd), rows, normal);
      return new Rows(rows, gamma, rstd, normal);
    }

    /** The gradient of the rows from {@code dnormal}, which is released; dgamma is added to. */
    Tensor backward(Pass pass, Tensor dnormal, Tensor dgamma) {
      Tensor drows = pass.allocate(DType.FLOAT32, rows.shape());
      pass.backend()
          .rmsNormBackward(new Norm(gamma, null, 0, null, rstd), rows, dnormal, drows, dgamma);
      dnormal.release();
      return drows;
    }
  }

  private static void backward(
      Pass pass, Rows scales, Rows tokens, Rows experts, Tensor temperature, Tensor dlogits) {
    Tape tape = pass.tape();
    Gradient dvectors = tape.gradientOf(experts.rows);
    if (dvectors != null) {
      Tensor dexperts = pass.allocate(DType.FLOAT32, experts.rows.shape());
      pass.backend().gemm(true, false, false, dlogits, tokens.normal, dexperts, Epilogue.NONE);
      Tensor unread = pass.scope().zeros(DType.FLOAT32, experts.gamma.shape());
      Tensor drows = experts.backward(pass, dexperts, unread);
      pass.backend().add(1, drows, 1, dvectors.sums(), dvectors.sums());
      drows.release();
      unread.release();
    }
    Tensor dscales = pass.scope().zeros(DType.FLOAT32, scales.rows.shape());
    Tensor dtokens = pass.allocate(DType.FLOAT32, tokens.rows.shape());
    pass.backend().gemm(false, false, false, dlogits, experts.normal, dtokens, Epilogue.NONE);
    tape.addGradient(
        tokens.rows, tokens.backward(pass, dtokens, dscales.reshape(tokens.gamma.shape())));
    Tensor dscale = pass.scope().zeros(DType.FLOAT32, 1);
    scales.backward(pass, dscales, dscale).release();
    Tensor dtemperature = tape.parameterGradient(temperature);
    if (dtemperature != null) {
      pass.backend().expBackward(MOST, temperature, dscale, dscale);
      pass.backend().add(1, dscale, 1, dtemperature, dtemperature);
    }
    dscale.release();
  }
}
