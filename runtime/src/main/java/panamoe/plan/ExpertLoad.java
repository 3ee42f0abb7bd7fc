package panamoe.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.parallel.Topology;

/**
 * The expected load of a layer's experts in one step, and of the ranks that hold them in order.
 *
 * @param chosen for each expert, the probability that a token is routed to it and not dropped
 * @param topK routes of a token before drops
 * @param degree number of ranks that the experts are spread over
 */
record ExpertLoad(double[] chosen, int topK, int degree) {
  /**
   * The load when each source drops the routes beyond an expert's capacity.
   *
   * @param tokens of one source
   * @param capacity routes that an expert keeps from one source
   */
  ExpertLoad withCapacity(long tokens, long capacity) {
    Map<Double, Double> kept = new LinkedHashMap<>(); // many experts have equal probabilities
    double[] of =
        Arrays.stream(chosen)
            .map(
                p ->
                    kept.computeIfAbsent(
                        p, _ -> Binomial.of(tokens, p).expectedUpTo(capacity) / tokens))
            .toArray();
    return new ExpertLoad(of, topK, degree);
  }

  double dropped() {
    return Math.max(0, 1 - Arrays.stream(chosen).sum() / topK);
  }

  /** Expected rows of a rank, from {@code tokens} of all sources. */
  double mean(long tokens) {
    return tokens * Arrays.stream(chosen).sum() / degree;
  }

  /** Expected rows of the most loaded rank, from {@code tokens} of all sources. */
  double most(long tokens) {
    List<ExpectedMaximum.Alike> ranks = new ArrayList<>();
    for (int rank = 0; rank < degree; rank++) {
      double sum = 0;
      for (int expert = first(rank); expert < first(rank + 1); expert++) {
        sum += chosen[expert];
      }
      ranks.add(new ExpectedMaximum.Alike(tokens * topK, sum / topK, 1));
    }
    return ExpectedMaximum.of(together(ranks));
  }

  /**
   * Rows of the most loaded rank over the mean. It is 1 if all experts are equally likely: then all
   * exchanges of a step take equally long.
   */
  double unevenness(long tokens) {
    return Arrays.stream(chosen).distinct().count() == 1 ? 1 : most(tokens) / mean(tokens);
  }

  /** Expected largest number of experts on one rank that {@code tokens} reach. */
  double mostHit(long tokens) {
    List<ExpectedMaximum.Alike> ranks = new ArrayList<>();
    for (int rank = 0; rank < degree; rank++) {
      int held = first(rank + 1) - first(rank);
      double missed = 0;
      for (int expert = first(rank); expert < first(rank + 1); expert++) {
        missed += Math.pow(1 - chosen[expert], tokens);
      }
      ranks.add(new ExpectedMaximum.Alike(held, 1 - missed / held, 1));
    }
    return ExpectedMaximum.of(together(ranks));
  }

  private int first(int rank) {
    return Topology.firstExpert(chosen.length, degree, rank);
  }

  /** Merges ranks with equal distributions, which are computed once. */
  private static List<ExpectedMaximum.Alike> together(List<ExpectedMaximum.Alike> ranks) {
    Map<ExpectedMaximum.Alike, Long> counts = new LinkedHashMap<>();
    ranks.forEach(rank -> counts.merge(rank, 1L, Long::sum));
    return counts.entrySet().stream()
        .map(
            entry ->
                new ExpectedMaximum.Alike(
                    entry.getKey().trials(), entry.getKey().p(), entry.getValue()))
        .toList();
  }
}
