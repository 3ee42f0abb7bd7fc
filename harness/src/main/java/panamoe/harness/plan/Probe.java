package panamoe.harness.plan;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import panamoe.plan.Cluster;
import panamoe.plan.Efficiency;
import panamoe.plan.Node;
import panamoe.plan.StepTime;

/** Steps to be timed, by all ranks together, and to be predicted. */
interface Probe {
  /** The median step in seconds; it counts on rank 0 alone. */
  double seconds() throws InterruptedException;

  /** What the closed form says of a step. */
  StepTime predicted(Node node, Efficiency efficiency);

  /** What it says of a step on a calibrated cluster. */
  StepTime predicted(Cluster cluster);

  /**
   * Times probes in turns; returns the median of each.
   *
   * @param progress is told which part is done, 0 to 1
   */
  static double[] medians(List<? extends Probe> probes, int rounds, DoubleConsumer progress)
      throws InterruptedException {
    double[][] seconds = new double[probes.size()][rounds];
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < seconds.length; i++) {
        seconds[i][round] = probes.get(i).seconds();
        progress.accept((round + (i + 1.0) / seconds.length) / rounds);
      }
    }
    return Arrays.stream(seconds).mapToDouble(Probe::median).toArray();
  }

  static double median(double... values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
