package panamoe.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.parallel.Topology;

/**
 * What a layer's experts get in one step, and so the ranks among which they are spread in order.
 *
 * @param chosen the probability that a token chooses each expert and is kept
 * @param topK k, before any route is dropped
 * @param degree ranks among which experts are spread
 */
record ExpertLoad(double[] chosen, int topK, int degree) {
  /**
   * Where each source drops the routes that exceed an expert's capacity.
   *
   * @param tokens of a source
   * @param capacity routes that an expert keeps of each source
   */
  ExpertLoad withCapacity(long tokens, long capacity) {
    Map<Double, Double> kept = new LinkedHashMap<>(); // experts are often alike
    double[] of =
        Arrays.stream(chosen)
            .map(
                p ->
                    kept.computeIfAbsent(
                        p, _ -> Binomial.of(tokens, p).expectedUpTo(capacity) / tokens))
            .toArray();
    return new ExpertLoad(of, topK, degree);
  }

  /** The share of routes that are dropped. */
  double dropped() {
    return Math.max(0, 1 - Arrays.stream(chosen).sum() / topK);
  }

  /** Expected rows of a rank, of {@code tokens} of all sources. */
  double mean(long tokens) {
    return tokens * Arrays.stream(chosen).sum() / degree;
  }

  /** Expected rows of the rank that gets most, of {@code tokens} of all sources. */
  double most(long tokens) {
    List<ExpectedMost.Alike> ranks = new ArrayList<>();
    for (int rank = 0; rank < degree; rank++) {
      double sum = 0;
      for (int expert = first(rank); expert < first(rank + 1); expert++) {
        sum += chosen[expert];
      }
      ranks.add(new ExpectedMost.Alike(tokens * topK, sum / topK, 1));
    }
    return ExpectedMost.of(together(ranks));
  }

  /**
   * How many times a mean rank's rows the rank has that gets most; 1 where experts are chosen
   * alike, so that all exchanges of a step take equally long.
   */
  double unevenness(long tokens) {
    return Arrays.stream(chosen).distinct().count() == 1 ? 1 : most(tokens) / mean(tokens);
  }

  /** Expected experts with a row of {@code tokens}, on the rank that has most of these. */
  double mostHit(long tokens) {
    List<ExpectedMost.Alike> ranks = new ArrayList<>();
    for (int rank = 0; rank < degree; rank++) {
      int held = first(rank + 1) - first(rank);
      double missed = 0;
      for (int expert = first(rank); expert < first(rank + 1); expert++) {
        missed += Math.pow(1 - chosen[expert], tokens);
      }
      ranks.add(new ExpectedMost.Alike(held, 1 - missed / held, 1));
    }
    return ExpectedMost.of(together(ranks));
  }

  private int first(int rank) {
    return Topology.firstExpert(chosen.length, degree, rank);
  }

  /** Ranks that get alike are computed once. */
  private static List<ExpectedMost.Alike> together(List<ExpectedMost.Alike> ranks) {
    Map<ExpectedMost.Alike, Long> counts = new LinkedHashMap<>();
    ranks.forEach(rank -> counts.merge(rank, 1L, Long::sum));
    return counts.entrySet().stream()
        .map(
            entry ->
                new ExpectedMost.Alike(
                    entry.getKey().trials(), entry.getKey().p(), entry.getValue()))
        .toList();
  }
}
