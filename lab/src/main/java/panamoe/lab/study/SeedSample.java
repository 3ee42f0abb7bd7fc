package panamoe.lab.study;

import java.util.Arrays;
import java.util.List;
import org.hipparchus.stat.descriptive.StatisticalSummary;
import org.hipparchus.stat.descriptive.StreamingStatistics;
import org.hipparchus.stat.inference.TTest;
import panamoe.io.Words;

/** A value of each seed. Tests are Welch's, one-sided, of the means of two samples. */
record SeedSample(List<Double> values) {
  /** Differences of bits per byte below this count as none: docs/study.md says why. */
  static final double MARGIN = 0.02;

  /** The chance of each test to find a difference, or an equality, that does not exist. */
  static final double LEVEL = 0.05;

  SeedSample {
    values = List.copyOf(values);
  }

  static SeedSample of(double... values) {
    return new SeedSample(Arrays.stream(values).boxed().toList());
  }

  private StatisticalSummary summary() {
    StreamingStatistics statistics = new StreamingStatistics();
    values.forEach(statistics::addValue);
    return statistics;
  }

  double mean() {
    return summary().getMean();
  }

  /** Sample standard deviation; 0 for one seed. */
  double deviation() {
    return summary().getStandardDeviation();
  }

  /** Whether a test shows that the mean is below the other's. Single runs show nothing. */
  boolean below(SeedSample other) {
    return below(other, 0);
  }

  /** Whether a test shows that the mean is less than {@code margin} above the other's. */
  boolean notWorse(SeedSample other, double margin) {
    return below(other, margin);
  }

  /** Whether two tests show that the means are less than {@code margin} apart (TOST). */
  boolean equivalent(SeedSample other, double margin) {
    return notWorse(other, margin) && other.notWorse(this, margin);
  }

  private boolean below(SeedSample other, double margin) {
    if (values.size() < 2 || other.values.size() < 2) {
      return false;
    }
    double[] mine = values.stream().mapToDouble(value -> value - margin).toArray();
    double[] others = other.values.stream().mapToDouble(Double::doubleValue).toArray();
    double difference = mean() - margin - other.mean();
    if (deviation() == 0 && other.deviation() == 0) {
      return difference < 0; // the test divides by the deviations
    }
    return difference < 0 && new TTest().tTest(mine, others) / 2 < LEVEL;
  }

  @Override
  public String toString() {
    return values.size() == 1
        ? Words.of("%.4f", mean())
        : Words.of("%.4f ± %.4f", mean(), deviation());
  }
}
