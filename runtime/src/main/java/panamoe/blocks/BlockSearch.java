package panamoe.blocks;

/**
 * The numbers of a block, the weights of their squared errors, and their codes. The scale is
 * searched on a grid around the usual one for the least weighted squared error, which has many
 * minima because codes are whole numbers.
 */
final class BlockSearch {
  /** Neighbours of a scale are tried too, because codes are rounded after it. */
  static final int[] NEIGHBOURS = {0, -1, 1};

  /** How far the largest number may be beyond, or short of, the last code. */
  private static final double REACH = 1;

  private static final double STEP = 0.2;

  final double[] x;
  final double[] w;
  final int[] codes;
  private final int[] levels;

  /** {@code levels}: {@link BlockFormat#levels}. */
  BlockSearch(int elements, int[] levels) {
    this.levels = levels;
    this.x = new double[elements];
    this.w = new double[elements];
    this.codes = new int[elements];
  }

  /** Chooses the nearest codes, and returns their weighted squared error. */
  double code(int from, int count, double scale, double minimum, int low, int high) {
    double inverse = scale == 0 ? 0 : 1 / scale;
    double error = 0;
    for (int i = from; i < from + count; i++) {
      double code = nearest((x[i] + minimum) * inverse, low, high);
      double difference = x[i] - (scale * code - minimum);
      error += w[i] * difference * difference;
      codes[i] = (int) code;
    }
    return error;
  }

  /** The nearest code. */
  double nearest(double value, int low, int high) {
    if (levels == null) {
      return Math.clamp(Math.rint(value), low, high);
    }
    int i = 0;
    while (i + 1 < levels.length && 2 * value > levels[i] + levels[i + 1]) {
      i++;
    }
    return levels[i];
  }

  /** The whole factor of {@code unit} that is nearest to {@code value}. */
  static int nearest(double value, double unit, int low, int high) {
    return unit == 0 ? 0 : (int) Math.clamp(Math.rint(value / unit), low, high);
  }

  /** A scale and what is subtracted: {@code x ≈ scale · code − minimum}. */
  record Affine(double scale, double minimum) {}

  /**
   * The scale d of {@code x ≈ d · code}.
   *
   * @param from the first of {@code count} numbers
   * @param low the least code, below 0
   * @param high the largest code
   * @param float16 whether the scale will be held in 16 bits
   */
  double symmetric(int from, int count, int low, int high, boolean float16) {
    double most = 0;
    for (int i = from; i < from + count; i++) {
      most = Math.abs(x[i]) > Math.abs(most) ? x[i] : most;
    }
    if (most == 0) {
      return 0;
    }
    double apart =
        levels == null ? 1 : (high - low) / (levels.length - 1.0); // two codes, on average
    double best = 0;
    double bestGain = 0;
    // The largest number gets a code near the least or the largest one.
    for (int end : -low == high ? new int[] {high} : new int[] {low, high}) {
      for (double reach = -REACH; reach < REACH + STEP / 2; reach += STEP) {
        double inverse = (end + Math.signum(end) * reach * apart) / most;
        double products = 0;
        double squares = 0;
        for (int i = from; i < from + count; i++) {
          double code = nearest(x[i] * inverse, low, high);
          products += w[i] * x[i] * code;
          squares += w[i] * code * code;
        }
        double scale = products / squares; // the best for these codes; NaN if all are 0
        if (float16) {
          scale = Float.float16ToFloat(Float.floatToFloat16((float) scale));
          if (Double.isInfinite(scale)) {
            return scale; // the caller refuses it
          }
        }
        double gain = scale * (2 * products - scale * squares); // the decrease of the error
        if (gain > bestGain) {
          bestGain = gain;
          best = scale;
        }
      }
    }
    return best;
  }

  /**
   * The scale, not below 0, and the minimum of {@code x ≈ scale · code − minimum}.
   *
   * @param high the largest code; the least is 0
   * @param signed whether the minimum may be below 0
   */
  Affine affine(int from, int count, int high, boolean signed) {
    double least = signed ? x[from] : 0;
    double most = least;
    double weights = 0;
    double sum = 0;
    double own = 0;
    for (int i = from; i < from + count; i++) {
      least = Math.min(least, x[i]);
      most = Math.max(most, x[i]);
      weights += w[i];
      sum += w[i] * x[i];
      own += w[i] * x[i] * x[i];
    }
    if (most == least) {
      return new Affine(0, -least);
    }
    Affine best = new Affine((most - least) / high, -least);
    double bestError = Double.POSITIVE_INFINITY;
    for (double reach = -REACH; reach < REACH + STEP / 2; reach += STEP) {
      double inverse = (high + reach) / (most - least);
      double codes = 0;
      double squares = 0;
      double products = 0;
      for (int i = from; i < from + count; i++) {
        double code = Math.clamp(Math.rint((x[i] - least) * inverse), 0, high);
        codes += w[i] * code;
        squares += w[i] * code * code;
        products += w[i] * code * x[i];
      }
      double determinant = weights * squares - codes * codes;
      if (determinant <= 0) {
        continue;
      }
      double scale = (weights * products - sum * codes) / determinant;
      double minimum = (codes * products - squares * sum) / determinant;
      if (minimum < 0 && !signed) {
        minimum = 0;
        scale = products / squares;
      }
      double error =
          own
              + scale * (scale * squares - 2 * products - 2 * minimum * codes)
              + minimum * (minimum * weights + 2 * sum);
      if (scale >= 0 && error < bestError) {
        bestError = error;
        best = new Affine(scale, minimum);
      }
    }
    return best;
  }
}
