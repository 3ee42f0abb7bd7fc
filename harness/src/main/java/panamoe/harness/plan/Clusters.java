package panamoe.harness.plan;

import java.io.PrintWriter;
import panamoe.io.Require;
import panamoe.plan.Cluster;
import panamoe.plan.Efficiency;
import panamoe.plan.Machine;
import panamoe.plan.Paper;
import panamoe.plan.PaperTraining;

/** The clusters of {@code --cluster}, and how much of their devices a system makes use of. */
final class Clusters {
  private Clusters() {}

  /** Reads one, and warns where it is a calibration of another machine. */
  static Cluster read(String text, PrintWriter warnings) {
    Cluster cluster = Cluster.of(text);
    if (cluster.machine() != null && !isHere(cluster.machine())) {
      warnings.println(
          "warning: " + text + " was measured on another machine, " + cluster.machine());
    }
    return cluster;
  }

  /**
   * Reads a calibration of this machine.
   *
   * @param steps that it is to predict
   * @throws IllegalArgumentException if it was not measured, or not here, or without these steps
   */
  static Cluster ofThisMachine(String text, Steps steps) {
    Cluster known = Cluster.of(text);
    if (known.machine() == null || known.efficiency() == null) {
      throw new IllegalArgumentException(
          "--cluster needs a file of plan calibrate, and " + text + " was not measured");
    }
    if (!isHere(known.machine())) {
      throw Require.refusal(
          "%s is a calibration of another machine, %s: runs of %s are not predicted by it",
          text, known.machine(), Calibration.here(known.machine().device()));
    }
    if (steps.train() && known.training() == null) {
      throw new IllegalArgumentException(
          text + " has no steps of training; calibrate this machine again");
    }
    return known;
  }

  private static boolean isHere(Machine machine) {
    return machine.equals(Calibration.here(machine.device()));
  }

  /** That of the paper's system, unless Panamoe was measured there. */
  static Efficiency efficiency(Cluster cluster) {
    return cluster.efficiency() == null ? Paper.fitted().efficiency() : cluster.efficiency();
  }

  /** The efficiency of training: measured, or fitted to the paper. */
  static Efficiency training(Cluster cluster) {
    return cluster.training() == null
        ? PaperTraining.fitted(efficiency(cluster)).efficiency()
        : cluster.training();
  }
}
