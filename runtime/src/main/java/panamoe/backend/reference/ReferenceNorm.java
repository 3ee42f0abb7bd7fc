package panamoe.backend.reference;

import panamoe.backend.NormKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** LayerNorm; RMSNorm is LayerNorm with mean 0 and no shift. */
interface ReferenceNorm extends NormKernels, ReferenceContext {

  @Override
  default void layerNormForward(Norm norm, Tensor x, Tensor y) {
    Tensor beta = norm.beta();
    Tensor mean = norm.mean();
    launch(
        () -> {
          checkForward(norm, x, y);
          Check.tensor("beta", beta, Kind.FLOAT32, x.size(1));
          Check.optional("mean", mean, Kind.FLOAT32, x.size(0));
          double[] shift = Values.read(beta);
          forward(norm, mean, true, x, shift, y);
        });
  }

  @Override
  default void layerNormBackward(
      Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta) {
    Tensor mean = norm.mean();
    launch(
        () -> {
          checkBackward(norm, x, dy, dx, dgamma);
          Check.tensor("mean", mean, Kind.FLOAT32, x.size(0));
          Check.tensor("dbeta", dbeta, Kind.FLOAT32, x.size(1));
          Check.disjoint("dgamma", dgamma, "dbeta", dbeta);
          backward(norm, mean, x, dy, dx, dgamma, dbeta);
        });
  }

  @Override
  default void rmsNormForward(Norm norm, Tensor x, Tensor y) {
    launch(
        () -> {
          checkForward(norm, x, y);
          forward(norm, null, false, x, new double[(int) x.size(1)], y);
        });
  }

  @Override
  default void rmsNormBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
    launch(
        () -> {
          checkBackward(norm, x, dy, dx, dgamma);
          backward(norm, null, x, dy, dx, dgamma, null);
        });
  }

  /**
   * {@code y = (x - mean) * rstd * (gamma + offset) + shift} with {@code rstd = 1 / sqrt(mean((x -
   * mean)^2) + epsilon)}.
   */
  private static void forward(
      Norm norm, Tensor mean, boolean centered, Tensor x, double[] shift, Tensor y) {
    double[][] rows = Values.readRows(x);
    double[] scale = Values.read(norm.gamma());
    int width = scale.length;
    for (int s = 0; s < rows.length; s++) {
      double rowMean = 0;
      for (int i = 0; centered && i < width; i++) {
        rowMean += rows[s][i] / width;
      }
      double variance = 0;
      for (double value : rows[s]) {
        variance += (value - rowMean) * (value - rowMean) / width;
      }
      double rowRstd = 1 / Math.sqrt(variance + norm.epsilon());
      for (int i = 0; i < width; i++) {
        rows[s][i] = (rows[s][i] - rowMean) * rowRstd * (scale[i] + norm.offset()) + shift[i];
      }
      if (mean != null) {
        mean.setFloat(s, (float) rowMean);
      }
      if (norm.rstd() != null) {
        norm.rstd().setFloat(s, (float) rowRstd);
      }
    }
    Values.write(rows, y);
  }

  /**
   * With {@code n = (x - mean) * rstd} and {@code g = dy * (gamma + offset)}: {@code dx = rstd * (g
   * - mean(g) - n * mean(g * n))}, without mean(g) for RMSNorm; {@code dgamma += sum_s dy * n};
   * {@code dbeta += sum_s dy}.
   */
  private static void backward(
      Norm norm, Tensor mean, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta) {
    double[][] rows = Values.readRows(x);
    double[][] upstream = Values.readRows(dy);
    double[] scale = Values.read(norm.gamma());
    double[] dscale = Values.read(dgamma);
    double[] dshift = dbeta == null ? new double[scale.length] : Values.read(dbeta);
    int width = scale.length;
    for (int s = 0; s < rows.length; s++) {
      double rowMean = mean == null ? 0 : mean.getFloat(s);
      double rowRstd = norm.rstd().getFloat(s);
      double[] normal = new double[width];
      double[] g = new double[width];
      double gMean = 0;
      for (int i = 0; i < width; i++) {
        normal[i] = (rows[s][i] - rowMean) * rowRstd;
        g[i] = upstream[s][i] * (scale[i] + norm.offset());
        gMean += g[i] / width;
        dscale[i] += upstream[s][i] * normal[i];
        dshift[i] += upstream[s][i];
      }
      double gNormalMean = Vectors.dot(g, normal) / width;
      for (int i = 0; i < width; i++) {
        rows[s][i] = rowRstd * (g[i] - (mean == null ? 0 : gMean) - normal[i] * gNormalMean);
      }
    }
    Values.write(rows, dx);
    Values.write(dscale, dgamma);
    if (dbeta != null) {
      Values.write(dshift, dbeta);
    }
  }

  private static void checkForward(Norm norm, Tensor x, Tensor y) {
    checkRows(x);
    Check.tensor("gamma", norm.gamma(), Kind.FLOAT32, x.size(1));
    Check.finite("gamma_offset", norm.offset());
    Check.finite("epsilon", norm.epsilon());
    Check.require(norm.epsilon() >= 0, "epsilon is " + norm.epsilon() + ", expected 0 or more");
    Check.tensor("y", y, Kind.FLOATING, x.size(0), x.size(1));
    Check.optional("rstd", norm.rstd(), Kind.FLOAT32, x.size(0));
    Check.disjoint("x", x, "y", y);
  }

  private static void checkBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
    checkRows(x);
    Check.tensor("dy", dy, Kind.FLOATING, x.size(0), x.size(1));
    Check.tensor("gamma", norm.gamma(), Kind.FLOAT32, x.size(1));
    Check.finite("gamma_offset", norm.offset());
    Check.tensor("rstd", norm.rstd(), Kind.FLOAT32, x.size(0));
    Check.tensor("dx", dx, Kind.FLOATING, x.size(0), x.size(1));
    Check.tensor("dgamma", dgamma, Kind.FLOAT32, x.size(1));
    Check.disjoint("x", x, "dx", dx);
    Check.disjoint("dy", dy, "dx", dx);
  }

  private static void checkRows(Tensor x) {
    Check.tensor("x", x, Kind.FLOATING, Check.ANY, Check.ANY);
    Check.require(x.size(1) > 0, "x is " + x + ", a norm needs at least one column");
  }
}
