package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.io.Require;
import panamoe.plan.Constant.Kind;

/**
 * The cost of device failures in a training run that resumes from its last checkpoint (J. T. Daly,
 * A higher order estimate of the optimum checkpoint interval for restart dumps, Future Generation
 * Computer Systems 22, 2006). Devices fail independently, at a constant rate.
 *
 * @param meanHours mean time between failures of one device, h
 */
public record FailureCost(double meanHours) {
  /** The rate of the training of Llama 3 (arXiv 2407.21783, 3.3.4). */
  public static final double USUAL_HOURS = 50_000;

  private static final double MOST_HOURS = 1e9;
  private static final double MOST_SHARE = 1000;

  /** File-system bandwidth of one node. */
  private static final Constant DISK =
      Kind.ASSUMED.of(
          2e9, "bytes/s", "each node's writes to and reads from the shared file system");

  private static final Constant FILE_SYSTEM =
      Kind.PUBLISHED.of(
          2e12,
          "bytes/s",
          "all nodes together; the file system of the training of Llama 3"
              + " (arXiv 2407.21783, section 3.3.1)");

  private static final Constant RESTART =
      Kind.ASSUMED.of(300, "s", "to replace the device and restart the processes");

  /** Of a checkpoint: master weight and two moments in FLOAT32. */
  private static final int BYTES_OF_PARAMETER = 12;

  public FailureCost {
    Require.that(
        meanHours > 0 && meanHours <= MOST_HOURS,
        "the mean time between failures of a device is %s h, expected more than 0 and at most 1e9",
        meanHours);
  }

  /**
   * @param checkpoint seconds to write one checkpoint
   * @param interval seconds of training between two checkpoints
   * @param share time lost to checkpoints, repeated steps and restarts, over the time without them
   */
  public record Loss(double checkpoint, double interval, double share) {}

  /** Times in seconds of a cluster and a model: between failures, of a checkpoint, of a restart. */
  private record System(double mean, double checkpoint, double restart) {
    Loss loss(double interval) {
      double share = share(interval);
      if (!(share <= MOST_SHARE)) {
        throw Require.refusal(
            "a device fails every %.3g s, too often for checkpoints %.3g s apart: the run would take more than %.0f times as long",
            mean, interval, MOST_SHARE);
      }
      return new Loss(checkpoint, interval, share);
    }

    /** Daly's expected run time over the time without failures, less 1. */
    double share(double interval) {
      return mean / interval * Math.exp(restart / mean) * Math.expm1((interval + checkpoint) / mean)
          - 1;
    }

    /** Daly's estimate of the best interval; its first factor alone is Young's (CACM 17, 1974). */
    double best() {
      double half = checkpoint / (2 * mean);
      return Math.sqrt(2 * checkpoint * mean) * (1 + Math.sqrt(half) / 3 + half / 9) - checkpoint;
    }
  }

  /**
   * The loss with the best interval.
   *
   * @param parameters of the model
   * @throws IllegalArgumentException if devices fail before a checkpoint is written
   */
  public Loss best(Cluster cluster, long parameters) {
    System system = system(cluster, parameters);
    return system.loss(system.best());
  }

  /** The loss with an interval of {@code interval} seconds. */
  public Loss at(double interval, Cluster cluster, long parameters) {
    return system(cluster, parameters).loss(interval);
  }

  private System system(Cluster cluster, long parameters) {
    int nodes = Math.ceilDiv(cluster.devices(), cluster.node().devices());
    double bytes = (double) BYTES_OF_PARAMETER * parameters;
    double checkpoint = bytes / Math.min(nodes * DISK.value(), FILE_SYSTEM.value());
    double mean = 3600 * meanHours / cluster.devices();
    if (checkpoint >= 2 * mean) {
      throw Require.refusal(
          "a device of %s fails every %.3g s, but a checkpoint takes %.3g s: the run makes no progress",
          cluster, mean, checkpoint);
    }
    return new System(mean, checkpoint, RESTART.value() + checkpoint);
  }

  public static Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    all.put("disk_bandwidth", DISK);
    all.put("file_system_bandwidth", FILE_SYSTEM);
    all.put("restart", RESTART);
    return all;
  }
}
