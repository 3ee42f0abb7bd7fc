package panamoe.harness.plan;

import java.io.PrintWriter;
import java.util.Objects;
import java.util.stream.Stream;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.plan.Cluster;
import panamoe.plan.Constant;
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
    warnOfBounds(cluster, warnings);
    return cluster;
  }

  /** Warns of constants that the calibration could not determine. */
  static void warnOfBounds(Cluster cluster, PrintWriter warnings) {
    Stream.of(cluster.efficiency(), cluster.training())
        .filter(Objects::nonNull)
        .flatMap(each -> each.constants().entrySet().stream())
        .filter(each -> each.getValue().kind() == Constant.Kind.BOUND)
        .forEach(
            each ->
                warnings.println(
                    Words.of(
                        "warning: %s is not measured but a bound, %.3g %s, because other load disturbed %s;"
                            + " calibrate again on an idle machine",
                        each.getKey(),
                        each.getValue().value(),
                        each.getValue().unit(),
                        each.getValue().source())));
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
    Require.that(
        known.machine() != null && known.efficiency() != null,
        "--cluster needs a file of plan calibrate, but %s is not measured",
        text);
    if (!isHere(known.machine())) {
      throw Require.refusal(
          "%s is a calibration of another machine, %s, and does not predict runs on %s",
          text, known.machine(), Calibration.here(known.machine().device()));
    }
    Require.that(
        !steps.train() || known.training() != null,
        "%s has no steps of training; calibrate this machine again",
        text);
    return known;
  }

  private static boolean isHere(Machine machine) {
    return machine.equals(Calibration.here(machine.device()));
  }

  /** The measured efficiency of serving; without a measurement, the paper's. */
  static Efficiency efficiency(Cluster cluster) {
    return cluster.efficiency() == null ? Paper.fitted().efficiency() : cluster.efficiency();
  }

  /** The measured efficiency of training; without a measurement, the paper's. */
  static Efficiency training(Cluster cluster) {
    return cluster.training() == null
        ? PaperTraining.fitted(efficiency(cluster)).efficiency()
        : cluster.training();
  }
}
