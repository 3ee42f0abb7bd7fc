package panamoe.backend.reference;

import panamoe.backend.Activation;
import panamoe.backend.Activation.Kind;

/** Activations and their derivatives on rows of pre-activations. */
final class Activations {
  private Activations() {}

  /** {@code activation(x)}; a gated one halves the row. */
  static double[] forward(Activation activation, double[] x) {
    double[] y = new double[x.length / activation.inputsPerOutput()];
    for (int i = 0; i < y.length; i++) {
      y[i] =
          activation.inputsPerOutput() == 2
              ? gate(activation, x[i]) * up(activation, x[y.length + i])
              : value(activation.kind(), x[i]);
    }
    return y;
  }

  /** The gradient of x, from the gradient of the output. */
  static double[] backward(Activation activation, double[] x, double[] dy) {
    double[] dx = new double[x.length];
    for (int i = 0; i < dy.length; i++) {
      if (activation.inputsPerOutput() == 2) {
        double g = x[i];
        double u = x[dy.length + i];
        dx[i] = dy[i] * up(activation, u) * gateDerivative(activation, g);
        dx[dy.length + i] = Math.abs(u) > activation.limit() ? 0 : dy[i] * gate(activation, g);
      } else {
        dx[i] = dy[i] * derivative(activation.kind(), x[i]);
      }
    }
    return dx;
  }

  /** GeGLU's, or {@code g' * sigmoid(alpha * g')} with {@code g' = min(g, limit)}. */
  private static double gate(Activation activation, double g) {
    if (activation.kind() == Kind.GEGLU_TANH) {
      return value(Kind.GELU_TANH, g);
    }
    double below = Math.min(g, activation.limit());
    return below * Vectors.sigmoid(activation.alpha() * below);
  }

  private static double gateDerivative(Activation activation, double g) {
    if (activation.kind() == Kind.GEGLU_TANH) {
      return derivative(Kind.GELU_TANH, g);
    }
    double scaled = activation.alpha() * g;
    double sigmoid = Vectors.sigmoid(scaled);
    return g > activation.limit() ? 0 : sigmoid * (1 + scaled * (1 - sigmoid));
  }

  /** {@code clamp(u, -limit, limit) + upOffset}. */
  private static double up(Activation activation, double u) {
    double limit = activation.limit();
    return Math.max(-limit, Math.min(u, limit)) + activation.upOffset();
  }

  private static double value(Kind kind, double x) {
    return switch (kind) {
      case IDENTITY -> x;
      case RELU -> Math.max(x, 0);
      case GELU -> x * normalDistribution(x);
      case GELU_TANH -> x * (1 + Math.tanh(tanhArgument(x))) / 2;
      case SILU -> x * Vectors.sigmoid(x);
      case SWIGLU, GEGLU_TANH -> throw new IllegalArgumentException(kind + " is gated");
      case CUSTOM -> throw customRefused();
    };
  }

  private static double derivative(Kind kind, double x) {
    return switch (kind) {
      case IDENTITY -> 1;
      case RELU -> x > 0 ? 1 : 0;
      case GELU -> normalDistribution(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
      case GELU_TANH -> {
        double tanh = Math.tanh(tanhArgument(x));
        double slope = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
        yield (1 + tanh) / 2 + x * (1 - tanh * tanh) * slope / 2;
      }
      case SILU -> Vectors.sigmoid(x) * (1 + x * (1 - Vectors.sigmoid(x)));
      case SWIGLU, GEGLU_TANH -> throw new IllegalArgumentException(kind + " is gated");
      case CUSTOM -> throw customRefused();
    };
  }

  private static IllegalArgumentException customRefused() {
    return new IllegalArgumentException(
        "activation is CUSTOM, which the reference backend cannot be given");
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
