package panamoe.lab.study;

import java.util.Arrays;
import panamoe.io.Words;

/**
 * A value over the seeds.
 *
 * @param deviation sample standard deviation; 0 for one seed
 */
record Sample(double mean, double deviation, int count) {
  /**
   * A smaller difference of two single runs, in bits per byte, may be chance: the standard
   * deviation of three seeds of the dense model in docs/results/quality.md.
   */
  static final double NOISE = 0.012;

  static Sample of(double... values) {
    double mean = Arrays.stream(values).average().orElseThrow();
    double squares = Arrays.stream(values).map(value -> (value - mean) * (value - mean)).sum();
    double deviation = values.length == 1 ? 0 : Math.sqrt(squares / (values.length - 1));
    return new Sample(mean, deviation, values.length);
  }

  /** Whether this is below {@code other} by more than seeds differ. */
  boolean clearlyBelow(Sample other) {
    return other.mean - mean > noiseBeside(other);
  }

  /** A difference from {@code other} up to this may be chance. */
  double noiseBeside(Sample other) {
    return count == 1 ? NOISE : Math.hypot(deviation, other.deviation);
  }

  @Override
  public String toString() {
    return count == 1 ? Words.of("%.4f", mean) : Words.of("%.4f ± %.4f", mean, deviation);
  }
}
