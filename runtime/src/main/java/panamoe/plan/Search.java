package panamoe.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.DoubleConsumer;
import java.util.stream.Stream;
import panamoe.comm.exchange.Strategy;
import panamoe.config.ModelConfig;
import panamoe.io.Count;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/**
 * All degrees of data, experts, tensors and slices that a cluster allows, and both exchanges.
 *
 * @param name of the model, for messages
 * @param batch sequences of each data rank
 * @param context tokens of each sequence: memory has room for them, and the step reads them all
 */
public record Search(
    String name,
    ModelConfig config,
    Cluster cluster,
    LatencyModel latency,
    DType dtype,
    long batch,
    int context) {
  /** Most sequences of a data rank; more are a mistake. */
  private static final long MOST_BATCH = 1 << 16;

  public Search {
    if (batch < 1 || batch > MOST_BATCH) {
      throw new IllegalArgumentException(
          "the batch is " + batch + ", expected 1 to " + MOST_BATCH + " sequences");
    }
    if (context < 1 || context > config.context()) {
      throw new IllegalArgumentException(
          "the context is "
              + context
              + ", expected 1 to the model's "
              + config.context()
              + " tokens");
    }
    config.requireGeneration();
    new Degrees(config);
  }

  /**
   * @param front plans that no other plan beats in cards, latency and cost of a token, by cards and
   *     latency
   * @param misfits sizes on which nothing fits
   */
  public record Found(List<Plan> front, List<Misfit> misfits) {
    /** The plan that takes least time for a token. */
    public Plan fastest() {
      return front.stream().min(Comparator.comparingDouble(Plan::latency)).orElseThrow();
    }

    /** The plan whose tokens cost least. */
    public Plan cheapest() {
      return front.stream().min(Comparator.comparingDouble(Plan::cardSeconds)).orElseThrow();
    }

    /** The fastest of the plans of fewest cards. */
    public Plan smallest() {
      return front.getFirst();
    }
  }

  /**
   * @param least memory of a card with the degrees that take least
   */
  public record Misfit(int cards, CardMemory least) {}

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
    try (CardMemories memories = new CardMemories(config, context)) {
      List<Plan> fitting = new ArrayList<>();
      List<Misfit> misfits = new ArrayList<>();
      List<Cluster> parts = cluster.parts();
      for (Cluster part : parts) {
        progress.accept((double) parts.indexOf(part) / parts.size());
        List<Plan> plans = plans(memories, part);
        fitting.addAll(plans);
        if (plans.isEmpty()) {
          misfits.add(new Misfit(part.cards(), least(memories, part)));
        }
      }
      if (fitting.isEmpty()) {
        throw new IllegalArgumentException(fitsNowhere(memories, misfits.getLast()));
      }
      return new Found(front(fitting), misfits);
    }
  }

  /**
   * Looks for plans that take at most {@code seconds} for a token.
   *
   * @throws IllegalArgumentException if no plan does; the message says what would
   */
  public Found find(double seconds) {
    return within(seconds, find());
  }

  /** What was found of plans that take at most {@code seconds} for a token. */
  public Found within(double seconds, Found found) {
    List<Plan> within = found.front.stream().filter(plan -> plan.latency() <= seconds).toList();
    if (within.isEmpty()) {
      throw new IllegalArgumentException(tooSlow(seconds, found.fastest()));
    }
    return new Found(within, found.misfits);
  }

  /** The fewest cards on which the model fits; empty if it fits on none. */
  public Optional<Integer> fewestCards() {
    try (CardMemories memories = new CardMemories(config, context)) {
      return fewestCards(memories, new Cluster(cluster.node(), cluster.node().cards()).parts())
          .or(() -> fewestCards(memories, cluster.from(2L * cluster.node().cards())));
    }
  }

  private Optional<Integer> fewestCards(CardMemories memories, List<Cluster> clusters) {
    return clusters.stream()
        .filter(part -> !plans(memories, part).isEmpty())
        .map(Cluster::cards)
        .findFirst();
  }

  private static List<Plan> front(List<Plan> plans) {
    List<Plan> front = new ArrayList<>();
    plans.stream()
        .sorted(
            Comparator.comparingInt(Plan::cards)
                .thenComparingDouble(Plan::latency)
                .thenComparingDouble(Plan::cardSeconds))
        .filter(plan -> plans.stream().noneMatch(plan::isBeatenBy))
        .filter(
            plan ->
                front.isEmpty()
                    || front.getLast().cards() < plan.cards()
                    || front.getLast().latency() < plan.latency())
        .forEach(front::add);
    return front;
  }

  /** Every plan on all cards of {@code part} that fits. */
  private List<Plan> plans(CardMemories memories, Cluster part) {
    List<Plan> plans = new ArrayList<>();
    for (Topology topology : topologies(part)) {
      Degrees.requireNoInterrupt();
      Work work = work(topology);
      CardMemory memory = memories.of(work);
      if (memory.total() <= room()) {
        plans.add(plan(memories.model(), work, memory, Strategy.FLAT));
        if (latency.hasLevels(config, topology)) {
          plans.add(plan(memories.model(), work, memory, Strategy.HIERARCHICAL));
        }
      }
    }
    return plans;
  }

  private CardMemory least(CardMemories memories, Cluster part) {
    return topologies(part).stream()
        .map(topology -> memories.of(work(topology)))
        .min(Comparator.comparingLong(CardMemory::total))
        .orElseThrow();
  }

  /** The last token of the context, for every sequence. */
  private Work work(Topology topology) {
    return Work.decode(batch, context - 1L, dtype).over(topology);
  }

  private Plan plan(LanguageModel model, Work work, CardMemory memory, Strategy exchange) {
    return new Plan(
        work.topology(), exchange, batch, memory, latency.with(exchange).of(model, work));
  }

  /**
   * The time until a prompt of each data rank has been read.
   *
   * @param model a description of the configuration
   * @param tokens of the prompt, at most the context
   */
  public StepTime prompt(LanguageModel model, Plan plan, int tokens) {
    return latency.with(plan.exchange()).ofPrompt(model, tokens, dtype, plan.topology());
  }

  /** Bytes of a card that a plan may take. */
  public double room() {
    return cluster.node().memory().value() * latency.efficiency().memory().value();
  }

  private List<Topology> topologies(Cluster part) {
    return new Degrees(config).topologies(part);
  }

  private String fitsNowhere(CardMemories memories, Misfit largest) {
    return String.format(
            Locale.ROOT,
            "%s does not fit on %s: a card needs %s, of which %s are %s, and has room for %s; ",
            name,
            cluster,
            gigabytes(largest.least.total()),
            gigabytes(largest.least.largest()),
            largest.least.largestName(),
            gigabytes(room()))
        + fewestCards(memories, cluster.larger())
            .map(cards -> "it fits on " + cluster.with(cards))
            .orElse("take cards of more memory, a smaller --batch or a shorter --context");
  }

  private String tooSlow(double seconds, Plan fastest) {
    StepTerm largest = fastest.time().largest();
    return String.format(
            Locale.ROOT,
            "no plan on %s takes at most %.4g ms for a token: the fastest takes %.4g ms on %s, of"
                + " which %.4g ms are for %s; ",
            cluster,
            1e3 * seconds,
            1e3 * fastest.latency(),
            Count.of(fastest.cards(), "card"),
            1e3 * fastest.time().terms().get(largest),
            largest.meaning())
        + cluster.larger().stream()
            .flatMap(this::fastest)
            .filter(plan -> plan.latency() <= seconds)
            .findFirst()
            .map(
                plan ->
                    String.format(
                        Locale.ROOT,
                        "%s takes %.4g ms",
                        cluster.with(plan.cards()),
                        1e3 * plan.latency()))
            .orElse("more of these cards do not help, a smaller --batch may");
  }

  private Stream<Plan> fastest(Cluster part) {
    try (CardMemories memories = new CardMemories(config, context)) {
      return plans(memories, part).stream().min(Comparator.comparingDouble(Plan::latency)).stream();
    }
  }

  private static String gigabytes(double bytes) {
    return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
  }
}
