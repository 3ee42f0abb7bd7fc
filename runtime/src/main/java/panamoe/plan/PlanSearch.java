package panamoe.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.DoubleConsumer;
import panamoe.config.ModelConfig;
import panamoe.io.Count;
import panamoe.io.MemoryParts;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.plan.PlanObjective.Phrases;

/**
 * Searches the ways to serve or to train a model on a cluster, and keeps the best ones.
 *
 * @param name of the model, for messages
 */
public record PlanSearch(String name, Cluster cluster, PlanObjective objective) {
  /** Larger batches are taken for a typing mistake. */
  private static final long MOST_BATCH = 1 << 16;

  /**
   * Refuses sizes that make no sense.
   *
   * @param batch sequences
   * @param context tokens of each
   */
  public static void requireSizes(long batch, int context, ModelConfig model) {
    if (batch < 1 || batch > MOST_BATCH) {
      throw new IllegalArgumentException(
          "the batch is " + batch + ", expected 1 to " + MOST_BATCH + " sequences");
    }
    Require.that(
        context >= 1 && context <= model.context(),
        "the context is %s, expected 1 to the model's %s tokens",
        context,
        model.context());
  }

  /**
   * @param front the Pareto front in devices, time and cost, sorted by devices and time
   * @param misfits sizes of the cluster on which no plan fits
   */
  public record Found(List<Plan> front, List<Misfit> misfits) {
    public Plan fastest() {
      return PlanSearch.fastest(front).orElseThrow();
    }

    public Plan cheapest() {
      return front.stream().min(Comparator.comparingDouble(Plan::deviceSeconds)).orElseThrow();
    }

    /** The fastest of the plans with the fewest devices. */
    public Plan smallest() {
      return front.getFirst();
    }
  }

  /**
   * @param least smallest memory of the fullest device over all plans; null if the batch does not
   *     divide
   */
  public record Misfit(int devices, MemoryParts least) {}

  /**
   * Evaluates every plan.
   *
   * @param progress receives the part of the sizes that is done, 0 to 1
   * @throws IllegalArgumentException if no plan fits; the message says what is too large and what
   *     would fit
   * @throws CancellationException if this thread is interrupted
   */
  public Found find(DoubleConsumer progress) {
    try (GpuMemories memories = new GpuMemories(objective.config())) {
      List<Plan> fitting = new ArrayList<>();
      List<Misfit> misfits = new ArrayList<>();
      List<Cluster> parts = cluster.parts();
      for (Cluster part : parts) {
        progress.accept((double) parts.indexOf(part) / parts.size());
        List<Plan> plans = objective.plans(memories, part);
        fitting.addAll(plans);
        if (plans.isEmpty()) {
          misfits.add(new Misfit(part.devices(), objective.least(memories, part)));
        }
      }
      if (fitting.isEmpty()) {
        throw new IllegalArgumentException(fitsNowhere(memories, misfits));
      }
      return new Found(front(fitting), misfits);
    }
  }

  /**
   * The plans of {@code found} that take at most {@code seconds} for a token, or for the whole run.
   *
   * @throws IllegalArgumentException if no plan does; the message says what would
   */
  public Found within(double seconds, Found found) {
    List<Plan> within = found.front.stream().filter(plan -> plan.seconds() <= seconds).toList();
    if (within.isEmpty()) {
      throw new IllegalArgumentException(tooSlow(seconds, found.fastest()));
    }
    return new Found(within, found.misfits);
  }

  /** The smallest number of devices on which the model fits; empty if it fits on no cluster. */
  public Optional<Integer> fewestDevices() {
    int ofNode = cluster.node().devices();
    try (GpuMemories memories = new GpuMemories(objective.config())) {
      return fewestDevices(memories, new Cluster(cluster.node(), ofNode).parts())
          .or(() -> fewestDevices(memories, cluster.from(2L * ofNode)));
    }
  }

  private Optional<Integer> fewestDevices(GpuMemories memories, List<Cluster> clusters) {
    return clusters.stream()
        .filter(part -> !objective.plans(memories, part).isEmpty())
        .map(Cluster::devices)
        .findFirst();
  }

  /**
   * The plans are sorted so that a dominated plan comes after a plan of the front that dominates
   * it.
   */
  private static List<Plan> front(List<Plan> plans) {
    List<Plan> front = new ArrayList<>();
    plans.stream()
        .sorted(
            Comparator.comparingInt(Plan::devices)
                .thenComparingDouble(Plan::seconds)
                .thenComparingDouble(Plan::deviceSeconds))
        .filter(plan -> front.stream().noneMatch(plan::isBeatenBy))
        .filter(
            plan ->
                front.isEmpty()
                    || front.getLast().devices() < plan.devices()
                    || front.getLast().seconds() < plan.seconds())
        .forEach(front::add);
    return front;
  }

  private String fitsNowhere(GpuMemories memories, List<Misfit> misfits) {
    Misfit largest =
        misfits.reversed().stream()
            .filter(misfit -> misfit.least != null)
            .findFirst()
            .orElseThrow(); // a single device always divides the batch
    return Words.of(
            "%s %s on %s: a device needs %s, of which %s are %s, and has room for %s; ",
            name,
            objective.phrases().impossible(),
            cluster.with(largest.devices),
            gigabytes(largest.least.total()),
            gigabytes(largest.least.largest()),
            largest.least.largestName(),
            gigabytes(objective.times().room()))
        + fewestDevices(memories, cluster.larger())
            .map(devices -> "it fits on " + cluster.option(devices))
            .orElse(
                Words.of(
                    "take devices with more memory, a %s --batch or a shorter --context",
                    objective.phrases().batch()));
  }

  private String tooSlow(double seconds, Plan fastest) {
    try (GpuMemories memories = new GpuMemories(objective.config())) {
      return Words.of(
              "no plan on %s takes at most %s%s: the fastest takes %s on %s, %s; ",
              cluster,
              length(seconds),
              objective.phrases().of(),
              length(fastest.seconds()),
              Count.of(fastest.devices(), "device"),
              objective.spent(fastest.time()))
          + cluster.larger().stream()
              .flatMap(part -> fastest(objective.plans(memories, part)).stream())
              .filter(plan -> plan.seconds() <= seconds)
              .findFirst()
              .map(plan -> cluster.option(plan.devices()) + " takes " + length(plan.seconds()))
              .orElse(
                  Words.of(
                      "more of these devices do not help, a %s --batch may",
                      objective.phrases().batch()));
    }
  }

  private static Optional<Plan> fastest(List<Plan> plans) {
    return plans.stream().min(Comparator.comparingDouble(Plan::seconds));
  }

  private String length(double seconds) {
    Phrases phrases = objective.phrases();
    return Words.of("%.4g %s", seconds / phrases.seconds(), phrases.unit());
  }

  private static String gigabytes(double bytes) {
    return Words.of("%.1f GB", bytes / 1e9);
  }
}
