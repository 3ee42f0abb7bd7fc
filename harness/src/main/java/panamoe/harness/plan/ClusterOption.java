package panamoe.harness.plan;

import java.io.PrintWriter;
import panamoe.io.Require;
import panamoe.plan.Cluster;
import panamoe.plan.Efficiency;
import panamoe.plan.Machine;
import panamoe.plan.Paper;
import panamoe.plan.PaperTraining;

/** Reads {@code --cluster}, and chooses the efficiency of a cluster. */
final class ClusterOption {
  private ClusterOption() {}

  /** Reads a cluster, and warns if it is a calibration of another machine. */
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
   * @param steps that it must predict
   * @throws IllegalArgumentException if it is not a calibration, of another machine, or lacks these
   *     steps
   */
  static Cluster ofThisMachine(String text, MeasuredSteps steps) {
    Cluster known = Cluster.of(text);
    if (known.machine() == null || known.efficiency() == null) {
      throw new IllegalArgumentException(
          "--cluster needs a file of plan calibrate, but " + text + " is not measured");
    }
    if (!isHere(known.machine())) {
      throw Require.refusal(
          "%s is a calibration of another machine, %s, and does not predict runs on %s",
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

  /** The measured efficiency of serving; without one, that of the paper's system. */
  static Efficiency efficiency(Cluster cluster) {
    return cluster.efficiency() == null ? Paper.fitted().efficiency() : cluster.efficiency();
  }

  /** The measured efficiency of training; without one, that of the paper's system. */
  static Efficiency training(Cluster cluster) {
    return cluster.training() == null
        ? PaperTraining.fitted(efficiency(cluster)).efficiency()
        : cluster.training();
  }
}
