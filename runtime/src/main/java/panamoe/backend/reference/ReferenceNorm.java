package panamoe.backend.reference;

import panamoe.backend.NormKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** LayerNorm; RMSNorm is the same with mean 0 and no shift. */
interface ReferenceNorm extends NormKernels, Launching {

  @Override
  default void layerNormForward(
      Tensor x, Tensor gamma, Tensor beta, float epsilon, Tensor y, Tensor mean, Tensor rstd) {
    launch(
        () -> {
          checkForward(x, gamma, epsilon, y, rstd);
          Check.tensor("beta", beta, Kind.FLOAT32, x.size(1));
          Check.optional("mean", mean, Kind.FLOAT32, x.size(0));
          double[] shift = Values.read(beta);
          forward(true, x, gamma, shift, epsilon, y, mean, rstd);
        });
  }

  @Override
  default void layerNormBackward(
      Tensor dy,
      Tensor x,
      Tensor gamma,
      Tensor mean,
      Tensor rstd,
      Tensor dx,
      Tensor dgamma,
      Tensor dbeta) {
    launch(
        () -> {
          checkBackward(dy, x, gamma, rstd, dx, dgamma);
          Check.tensor("mean", mean, Kind.FLOAT32, x.size(0));
          Check.tensor("dbeta", dbeta, Kind.FLOAT32, x.size(1));
          Check.disjoint("dgamma", dgamma, "dbeta", dbeta);
          backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta);
        });
  }

  @Override
  default void rmsNormForward(Tensor x, Tensor gamma, float epsilon, Tensor y, Tensor rstd) {
    launch(
        () -> {
          checkForward(x, gamma, epsilon, y, rstd);
          forward(false, x, gamma, new double[(int) x.size(1)], epsilon, y, null, rstd);
        });
  }

  @Override
  default void rmsNormBackward(
      Tensor dy, Tensor x, Tensor gamma, Tensor rstd, Tensor dx, Tensor dgamma) {
    launch(
        () -> {
          checkBackward(dy, x, gamma, rstd, dx, dgamma);
          backward(dy, x, gamma, null, rstd, dx, dgamma, null);
        });
  }

  /**
   * {@code y = (x - mean) * rstd * gamma + shift} with {@code rstd = 1 / sqrt(mean((x - mean)^2) +
   * epsilon)}.
   */
  private static void forward(
      boolean centered,
      Tensor x,
      Tensor gamma,
      double[] shift,
      float epsilon,
      Tensor y,
      Tensor mean,
      Tensor rstd) {
    double[][] rows = Values.readRows(x);
    double[] scale = Values.read(gamma);
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
      double rowRstd = 1 / Math.sqrt(variance + epsilon);
      for (int i = 0; i < width; i++) {
        rows[s][i] = (rows[s][i] - rowMean) * rowRstd * scale[i] + shift[i];
      }
      if (mean != null) {
        mean.setFloat(s, (float) rowMean);
      }
      if (rstd != null) {
        rstd.setFloat(s, (float) rowRstd);
      }
    }
    Values.write(rows, y);
  }

  /**
   * With {@code n = (x - mean) * rstd} and {@code g = dy * gamma}: {@code dx = rstd * (g - mean(g)
   * - n * mean(g * n))}, without mean(g) for RMSNorm; {@code dgamma += sum_s dy * n}; {@code dbeta
   * += sum_s dy}.
   */
  private static void backward(
      Tensor dy,
      Tensor x,
      Tensor gamma,
      Tensor mean,
      Tensor rstd,
      Tensor dx,
      Tensor dgamma,
      Tensor dbeta) {
    double[][] rows = Values.readRows(x);
    double[][] upstream = Values.readRows(dy);
    double[] scale = Values.read(gamma);
    double[] dscale = Values.read(dgamma);
    double[] dshift = dbeta == null ? new double[scale.length] : Values.read(dbeta);
    int width = scale.length;
    for (int s = 0; s < rows.length; s++) {
      double rowMean = mean == null ? 0 : mean.getFloat(s);
      double rowRstd = rstd.getFloat(s);
      double[] normal = new double[width];
      double[] g = new double[width];
      double gMean = 0;
      for (int i = 0; i < width; i++) {
        normal[i] = (rows[s][i] - rowMean) * rowRstd;
        g[i] = upstream[s][i] * scale[i];
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

  private static void checkForward(Tensor x, Tensor gamma, float epsilon, Tensor y, Tensor rstd) {
    checkRows(x);
    Check.tensor("gamma", gamma, Kind.FLOAT32, x.size(1));
    Check.finite("epsilon", epsilon);
    Check.require(epsilon >= 0, "epsilon is " + epsilon + ", expected 0 or more");
    Check.tensor("y", y, Kind.FLOATING, x.size(0), x.size(1));
    Check.optional("rstd", rstd, Kind.FLOAT32, x.size(0));
    Check.disjoint("x", x, "y", y);
  }

  private static void checkBackward(
      Tensor dy, Tensor x, Tensor gamma, Tensor rstd, Tensor dx, Tensor dgamma) {
    checkRows(x);
    Check.tensor("dy", dy, Kind.FLOATING, x.size(0), x.size(1));
    Check.tensor("gamma", gamma, Kind.FLOAT32, x.size(1));
    Check.tensor("rstd", rstd, Kind.FLOAT32, x.size(0));
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
