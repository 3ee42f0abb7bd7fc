package panamoe.harness.plan;

import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import panamoe.plan.Cluster;
import panamoe.plan.Efficiency;
import panamoe.plan.Node;
import panamoe.plan.StepTime;

/** A step that all ranks time together and that the cost model predicts. */
interface Probe {
  /** The median step in seconds, valid on rank 0. */
  double seconds() throws InterruptedException;

  StepTime predicted(Node node, Efficiency efficiency);

  /** The cost model's prediction on a calibrated cluster. */
  StepTime predicted(Cluster cluster);

  /**
   * Times probes in turns; returns the median of each.
   *
   * @param progress receives the part that is done, 0 to 1
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
