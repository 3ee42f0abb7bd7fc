package panamoe.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.io.Count;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/**
 * All degrees of data, experts, tensors and slices that a cluster and a batch allow, with and
 * without recomputation. Each has the fewest micro-batches with which it fits: more only add
 * messages, and drop more routes.
 *
 * @param name of the model, for messages
 * @param run whose micro-batches and recomputation do not count
 * @param checkpoints what failures cost; null: not asked for
 */
public record TrainingSearch(
    String name, RunConfig run, Cluster cluster, TrainingModel model, Checkpoints checkpoints) {
  /**
   * How often a run saves.
   *
   * @param every steps between checkpoints; 0: what is best
   */
  public record Checkpoints(Faults faults, int every) {
    public Checkpoints {
      if (every < 0) {
        throw new IllegalArgumentException(
            "checkpoints are " + every + " steps apart, expected 1 or more");
      }
    }

    private Faults.Loss loss(Cluster part, long parameters, double step) {
      return every == 0 ? faults.best(part, parameters) : faults.at(every * step, part, parameters);
    }
  }

  public TrainingSearch {
    new Degrees(run.model());
  }

  /**
   * @param front plans that no other plan beats in cards and time, which decide the cost too, by
   *     cards
   * @param misfits sizes on which nothing fits
   */
  public record Found(List<TrainingPlan> front, List<Misfit> misfits) {
    /** The plan that takes least time, of most cards. */
    public TrainingPlan fastest() {
      return front.getLast();
    }

    /** The plan that takes fewest hours of a card. */
    public TrainingPlan cheapest() {
      return front.stream().min(Comparator.comparingDouble(TrainingPlan::cardHours)).orElseThrow();
    }

    /** The plan of fewest cards. */
    public TrainingPlan smallest() {
      return front.getFirst();
    }
  }

  /**
   * @param least memory of a card with the plan that takes least; null if the batch does not divide
   */
  public record Misfit(int cards, MemoryForecast least) {}

  /**
   * Looks at every plan.
   *
   * @throws IllegalArgumentException if none fits, with what is too large and what would do
   */
  public Found find() {
    return find(_ -> {});
  }

  /**
   * Looks at every plan.
   *
   * @param progress is told which part of the sizes is done, 0 to 1
   * @throws CancellationException if this thread is interrupted
   */
  public Found find(DoubleConsumer progress) {
    try (LanguageModel described = new LanguageModel(run.model())) {
      List<TrainingPlan> front = new ArrayList<>();
      List<Misfit> misfits = new ArrayList<>();
      List<Cluster> parts = cluster.parts();
      for (Cluster part : parts) {
        progress.accept((double) parts.indexOf(part) / parts.size());
        Optional<TrainingPlan> fastest = fastest(described, part);
        if (fastest.isEmpty()) {
          misfits.add(new Misfit(part.cards(), least(described, part)));
        } else if (front.isEmpty() || fastest.get().days() < front.getLast().days()) {
          front.add(fastest.get());
        }
      }
      if (front.isEmpty()) {
        throw new IllegalArgumentException(fitsNowhere(described, misfits));
      }
      return new Found(front, misfits);
    }
  }

  /**
   * Looks for plans that take at most {@code days}.
   *
   * @throws IllegalArgumentException if no plan does; the message says what would
   */
  public Found find(double days) {
    return within(days, find());
  }

  /** What was found of plans that take at most {@code days}. */
  public Found within(double days, Found found) {
    List<TrainingPlan> within = found.front.stream().filter(plan -> plan.days() <= days).toList();
    if (within.isEmpty()) {
      throw new IllegalArgumentException(tooSlow(days, found.fastest()));
    }
    return new Found(within, found.misfits);
  }

  /** Bytes of a card that a plan may take. */
  public double room() {
    return cluster.node().memory().value() * model.efficiency().memory().value();
  }

  private Optional<TrainingPlan> fastest(LanguageModel described, Cluster part) {
    return new Degrees(run.model())
        .topologies(part).stream()
            .filter(topology -> !microBatches(topology).isEmpty())
            .flatMap(
                topology -> {
                  // Weights and moments are the same in all micro-batches.
                  MemoryForecast state = MemoryForecast.of(described, training(1, false), topology);
                  return Stream.of(false, true)
                      .map(again -> fitting(described, part, topology, state, again))
                      .flatMap(Optional::stream);
                })
            .min(Comparator.comparingDouble(TrainingPlan::days));
  }

  private Optional<TrainingPlan> fitting(
      LanguageModel described,
      Cluster part,
      Topology topology,
      MemoryForecast state,
      boolean recompute) {
    for (int micro : microBatches(topology)) {
      Degrees.requireNoInterrupt();
      TrainConfig training = training(micro, recompute);
      MemoryForecast memory = state.withActivations(described, training, topology);
      if (memory.total() <= room()) {
        TrainingTime time = model.of(described, training, topology);
        return Optional.of(
            new TrainingPlan(
                training,
                topology,
                memory,
                time,
                checkpoints == null
                    ? null
                    : checkpoints.loss(part, described.parameters().count(), time.seconds())));
      }
    }
    return Optional.empty();
  }

  /** The numbers of micro-batches that the batch allows, from 1. */
  private List<Integer> microBatches(Topology topology) {
    int batch = run.training().batch();
    return IntStream.rangeClosed(1, batch)
        .filter(micro -> batch % micro == 0 && batch / micro % topology.dataDegree() == 0)
        .boxed()
        .toList();
  }

  private TrainConfig training(int micro, boolean recompute) {
    return run.training().withBatch(run.training().batch(), micro).withRecompute(recompute);
  }

  private MemoryForecast least(LanguageModel described, Cluster part) {
    return new Degrees(run.model())
        .topologies(part).stream()
            .filter(topology -> !microBatches(topology).isEmpty())
            .map(
                topology ->
                    MemoryForecast.of(
                        described, training(microBatches(topology).getLast(), true), topology))
            .min(Comparator.comparingLong(MemoryForecast::total))
            .orElse(null);
  }

  private String fitsNowhere(LanguageModel described, List<Misfit> misfits) {
    Misfit largest =
        misfits.reversed().stream()
            .filter(misfit -> misfit.least != null)
            .findFirst()
            .orElseThrow(); // a single card has the whole batch
    return String.format(
            Locale.ROOT,
            "%s cannot be trained on %s: a card needs %.1f GB, of which %.1f GB are %s, and has"
                + " room for %.1f GB; ",
            name,
            cluster.with(largest.cards),
            largest.least.total() / 1e9,
            largest.least.largest() / 1e9,
            largest.least.largestName(),
            room() / 1e9)
        + cluster.larger().stream()
            .filter(part -> fastest(described, part).isPresent())
            .findFirst()
            .map(part -> "it fits on " + part)
            .orElse("take cards of more memory, a larger --batch or a shorter --context");
  }

  private String tooSlow(double days, TrainingPlan fastest) {
    StepTerm largest = fastest.time().step().largest();
    String sentence =
        String.format(
            Locale.ROOT,
            "no plan on %s takes at most %.4g days: the fastest takes %.4g on %s, and most of a"
                + " step, %.4g of %.4g ms, is %s; ",
            cluster,
            days,
            fastest.days(),
            Count.of(fastest.cards(), "card"),
            1e3 * fastest.time().step().terms().get(largest),
            1e3 * fastest.time().seconds(),
            largest.meaning());
    try (LanguageModel described = new LanguageModel(run.model())) {
      return sentence
          + cluster.larger().stream()
              .flatMap(part -> fastest(described, part).stream())
              .filter(plan -> plan.days() <= days)
              .findFirst()
              .map(
                  plan ->
                      String.format(
                          Locale.ROOT,
                          "%s takes %.4g days",
                          cluster.with(plan.cards()),
                          plan.days()))
              .orElse("more of these cards do not help, a larger --batch may");
    }
  }
}
