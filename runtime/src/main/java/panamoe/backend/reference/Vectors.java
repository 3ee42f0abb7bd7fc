package panamoe.backend.reference;

/** Linear algebra on rows of doubles. */
final class Vectors {
  private Vectors() {}

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /** {@code y += factor * x}. */
  static void addScaled(double[] y, double factor, double[] x) {
    for (int i = 0; i < y.length; i++) {
      y[i] += factor * x[i];
    }
  }

  static double logSumExp(double[] x) {
    double max = Double.NEGATIVE_INFINITY;
    for (double value : x) {
      max = Math.max(max, value);
    }
    double sum = 0;
    for (double value : x) {
      sum += Math.exp(value - max);
    }
    return max + Math.log(sum);
  }

  static double[] softmax(double[] x) {
    double total = logSumExp(x);
    double[] p = new double[x.length];
    for (int i = 0; i < p.length; i++) {
      p[i] = Math.exp(x[i] - total);
    }
    return p;
  }

  /**
   * The gradient of the softmax's input, {@code p * (dp - p . dp)}, from its output p and that
   * output's gradient.
   */
  static double[] softmaxBackward(double[] p, double[] dp) {
    double mean = dot(p, dp);
    double[] dx = new double[p.length];
    for (int i = 0; i < dx.length; i++) {
      dx[i] = p[i] * (dp[i] - mean);
    }
    return dx;
  }

  static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  /** {@code cap tanh(x / cap)}; x if cap is 0. */
  static double softCap(double x, double cap) {
    return cap == 0 ? x : cap * Math.tanh(x / cap);
  }

  /** The derivative of {@link #softCap} from its result. */
  static double softCapSlope(double y, double cap) {
    return cap == 0 ? 1 : 1 - y / cap * (y / cap);
  }
}
