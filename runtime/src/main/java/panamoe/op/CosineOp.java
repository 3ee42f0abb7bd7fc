package panamoe.op;

import panamoe.backend.GemmKernels;
import panamoe.backend.NormKernels.Norm;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Cosines of tokens and experts times a learned scale: {@code logits[s, e] = exp(min(t, ln 100))
 * cos(z[s], v[e])}.
 */
public final class CosineOp {
  /** Largest logarithm of the scale; above it t gets no gradient. */
  private static final float MOST = (float) Math.log(100);

  /** Under the root of a mean of squares: a row of zeros has cosines of 0. */
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
    // The norm of a row of P elements is the root of P times its mean of squares.
    Tensor gamma = pass.allocate(DType.FLOAT32, z.size(1));
    pass.backend().fill((float) (1 / Math.sqrt(z.size(1))), gamma);
    Unit tokens = Unit.of(pass, z, gamma);
    Unit experts = Unit.of(pass, vectors, gamma);
    pass.backend()
        .gemm(false, true, false, tokens.unit, experts.unit, logits, GemmKernels.Epilogue.NONE);
    float t = temperature.getFloat(0);
    float scale = (float) Math.exp(Math.min(t, MOST));
    pass.backend().add(scale, logits, 0, logits, logits);
    if (pass.recording()) {
      pass.tape()
          .record(
              logits,
              dlogits -> {
                if (t <= MOST) {
                  addToTemperature(pass, temperature, logits, dlogits);
                }
                pass.backend().add(scale, dlogits, 0, dlogits, dlogits);
                backward(pass, tokens, experts, dlogits);
                dlogits.owner().release();
              },
              gamma,
              tokens.unit,
              tokens.rstd,
              experts.unit,
              experts.rstd);
    }
    return logits;
  }

  /** Rows and what they are at length 1. */
  private record Unit(Tensor rows, Tensor gamma, Tensor rstd, Tensor unit) {
    static Unit of(Pass pass, Tensor rows, Tensor gamma) {
      Tensor rstd = pass.recording() ? pass.allocate(DType.FLOAT32, rows.size(0)) : null;
      Tensor unit = pass.allocate(DType.FLOAT32, rows.shape());
      pass.backend().rmsNormForward(new Norm(gamma, null, EPSILON, null, rstd), rows, unit);
      return new Unit(rows, gamma, rstd, unit);
    }

    /** The gradient of the rows from the unit rows' gradient, which is released. */
    Tensor backward(Pass pass, Tensor dunit) {
      Tensor drows = pass.allocate(DType.FLOAT32, rows.shape());
      Tensor unread = pass.scope().zeros(DType.FLOAT32, gamma.shape());
      pass.backend()
          .rmsNormBackward(new Norm(gamma, null, 0, null, rstd), rows, dunit, drows, unread);
      dunit.release();
      unread.release();
      return drows;
    }
  }

  private static void backward(Pass pass, Unit tokens, Unit experts, Tensor dcosines) {
    Tape tape = pass.tape();
    Gradient dvectors = tape.gradientOf(experts.rows);
    if (dvectors != null) {
      Tensor dunit = pass.allocate(DType.FLOAT32, experts.rows.shape());
      pass.backend()
          .gemm(true, false, false, dcosines, tokens.unit, dunit, GemmKernels.Epilogue.NONE);
      Tensor dexperts = experts.backward(pass, dunit);
      pass.backend().add(1, dexperts, 1, dvectors.sums(), dvectors.sums());
      dexperts.release();
    }
    Tensor dunit = pass.allocate(DType.FLOAT32, tokens.rows.shape());
    pass.backend()
        .gemm(false, false, false, dcosines, experts.unit, dunit, GemmKernels.Epilogue.NONE);
    tape.addGradient(tokens.rows, tokens.backward(pass, dunit));
  }

  /** The derivative of a logit by t is the logit. */
  private static void addToTemperature(
      Pass pass, Tensor temperature, Tensor logits, Tensor dlogits) {
    Tensor dtemperature = pass.tape().parameterGradient(temperature);
    if (dtemperature != null) {
      float[] values = logits.toFloats();
      float[] gradients = dlogits.toFloats();
      double sum = 0;
      for (int i = 0; i < values.length; i++) {
        sum += (double) values[i] * gradients[i];
      }
      dtemperature.setFloat(0, dtemperature.getFloat(0) + (float) sum);
    }
  }
}
