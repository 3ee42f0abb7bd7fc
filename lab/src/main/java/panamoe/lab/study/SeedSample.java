package panamoe.lab.study;

import java.util.Arrays;
import panamoe.io.Words;

/**
 * Mean and deviation of a value over the seeds.
 *
 * @param deviation sample standard deviation; 0 for one seed
 */
record SeedSample(double mean, double deviation, int count) {
  /**
   * Differences below this, in bits per byte of two single runs, may be chance: the standard
   * deviation of three seeds of the dense model in docs/results/quality.md.
   */
  static final double NOISE = 0.012;

  static SeedSample of(double... values) {
    double mean = Arrays.stream(values).average().orElseThrow();
    double squares = Arrays.stream(values).map(value -> (value - mean) * (value - mean)).sum();
    double deviation = values.length == 1 ? 0 : Math.sqrt(squares / (values.length - 1));
    return new SeedSample(mean, deviation, values.length);
  }

  /** True if this is below {@code other} by more than the noise of seeds. */
  boolean clearlyBelow(SeedSample other) {
    return other.mean - mean > noiseBeside(other);
  }

  /** The noise of a difference from {@code other}. */
  double noiseBeside(SeedSample other) {
    return count == 1 ? NOISE : Math.hypot(deviation, other.deviation);
  }

  @Override
  public String toString() {
    return count == 1 ? Words.of("%.4f", mean) : Words.of("%.4f ± %.4f", mean, deviation);
  }
}
