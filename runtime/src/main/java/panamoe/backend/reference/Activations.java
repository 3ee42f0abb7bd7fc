package panamoe.backend.reference;

import panamoe.backend.Activation;

/** Activations and their derivatives on rows of pre-activations. */
final class Activations {
  private Activations() {}

  /** {@code activation(x)}; SwiGLU halves the row. */
  static double[] forward(Activation activation, double[] x) {
    double[] y = new double[x.length / activation.inputsPerOutput()];
    for (int i = 0; i < y.length; i++) {
      y[i] =
          activation == Activation.SWIGLU ? silu(x[i]) * x[y.length + i] : value(activation, x[i]);
    }
    return y;
  }

  /** The gradient of x from that of the output. */
  static double[] backward(Activation activation, double[] x, double[] dy) {
    double[] dx = new double[x.length];
    for (int i = 0; i < dy.length; i++) {
      if (activation == Activation.SWIGLU) {
        double up = x[dy.length + i];
        dx[i] = dy[i] * up * derivative(Activation.SILU, x[i]);
        dx[dy.length + i] = dy[i] * silu(x[i]);
      } else {
        dx[i] = dy[i] * derivative(activation, x[i]);
      }
    }
    return dx;
  }

  private static double value(Activation activation, double x) {
    return switch (activation) {
      case IDENTITY -> x;
      case RELU -> Math.max(x, 0);
      case GELU -> x * normalDistribution(x);
      case GELU_TANH -> x * (1 + Math.tanh(tanhArgument(x))) / 2;
      case SILU, SWIGLU -> silu(x);
      case CUSTOM -> throw customRefused();
    };
  }

  private static double derivative(Activation activation, double x) {
    return switch (activation) {
      case IDENTITY -> 1;
      case RELU -> x > 0 ? 1 : 0;
      case GELU -> normalDistribution(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
      case GELU_TANH -> {
        double tanh = Math.tanh(tanhArgument(x));
        double slope = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
        yield (1 + tanh) / 2 + x * (1 - tanh * tanh) * slope / 2;
      }
      case SILU, SWIGLU -> Vectors.sigmoid(x) * (1 + x * (1 - Vectors.sigmoid(x)));
      case CUSTOM -> throw customRefused();
    };
  }

  private static IllegalArgumentException customRefused() {
    return new IllegalArgumentException(
        "activation is CUSTOM, which the reference backend cannot be given");
  }

  private static double silu(double x) {
    return x * Vectors.sigmoid(x);
  }

  private static double tanhArgument(double x) {
    return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
  }

  /**
   * {@code (1 + erf(x / sqrt 2)) / 2} by the series {@code 1/2 + exp(-x^2/2) / sqrt(2 pi) * (x +
   * x^3/3 + x^5/(3*5) + ...)}, whose terms have one sign (Abramowitz and Stegun 26.2.11). Error
   * below 1e-15.
   */
  private static double normalDistribution(double x) {
    if (Math.abs(x) > 9) {
      return x > 0 ? 1 : 0;
    }
    double term = x;
    double sum = x;
    for (int n = 3; Math.abs(term) > 1e-17 * Math.abs(sum); n += 2) {
      term *= x * x / n;
      sum += term;
    }
    return 0.5 + Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI) * sum;
  }
}
