package panamoe.lab.conformance.replay;

import java.util.Arrays;
import panamoe.backend.Routes;

/**
 * A copy of a gate's decision, whose tensors the backward frees. Shapes and letters are those of
 * {@link Routes}.
 */
public record RouteTable(
    int tokens,
    int topK,
    int experts,
    float[] scores,
    Columns routes,
    long[] counts,
    long[] offsets,
    Losses losses) {

  /** The values of each route [S, K]. */
  public record Columns(long[] choice, long[] expert, long[] position, float[] weight) {}

  public record Losses(float auxiliary, float z) {}

  public static RouteTable of(Routes routes) {
    return new RouteTable(
        (int) routes.tokens(),
        routes.topK(),
        routes.experts(),
        routes.scores().toFloats(),
        new Columns(
            widened(routes.choice().toInts()),
            widened(routes.expert().toInts()),
            widened(routes.position().toInts()),
            routes.weight().toFloats()),
        widened(routes.counts().toInts()),
        widened(routes.offsets().toInts()),
        new Losses(routes.losses().getFloat(0), routes.losses().getFloat(1)));
  }

  /** One-hot of the expert that keeps each token's first choice [S, E]. */
  public long[] firstKept() {
    long[] mask = new long[tokens * experts];
    for (int s = 0; s < tokens; s++) {
      int expert = (int) routes.expert[s * topK];
      if (expert >= 0) {
        mask[s * experts + expert] = 1;
      }
    }
    return mask;
  }

  /** Routes that each expert keeps [E]. */
  public long[] kept() {
    long[] kept = new long[experts];
    Arrays.setAll(kept, e -> offsets[e + 1] - offsets[e]);
    return kept;
  }

  /** The largest number of routes that chose one expert. */
  public long largestCount() {
    return Arrays.stream(counts).max().orElse(0);
  }

  /** Combine weights by expert [S, E], 0 where a token has no route. */
  public float[] weightByExpert() {
    return scattered(routes.expert, routes.weight);
  }

  /** Values of routes [S, K] to the given experts [S, K], as a table [S, E]; 0 elsewhere. */
  public float[] scattered(long[] chosen, float[] values) {
    float[] table = new float[tokens * experts];
    for (int route = 0; route < chosen.length; route++) {
      if (chosen[route] >= 0) {
        table[route / topK * experts + (int) chosen[route]] = values[route];
      }
    }
    return table;
  }

  /** A table by expert [S, E] at the routes [S, K]; 0 for dropped ones. */
  public float[] atRoutes(float[] byExpert) {
    return Layouts.floats(
        routes.expert.length,
        route ->
            routes.expert[route] < 0
                ? 0
                : byExpert[route / topK * experts + (int) routes.expert[route]]);
  }

  /** The routes with those of each token sorted by expert, dropped ones first. */
  public RouteTable byExpert() {
    long[] sortedExpert = routes.expert.clone();
    long[] sortedPosition = routes.position.clone();
    float[] sortedWeight = routes.weight.clone();
    for (int s = 0; s < tokens; s++) {
      for (int to = 0; to < topK; to++) {
        int lowest = lowestRemaining(sortedExpert, s * topK + to, (s + 1) * topK);
        swap(sortedExpert, s * topK + to, lowest);
        swap(sortedPosition, s * topK + to, lowest);
        float moved = sortedWeight[lowest];
        sortedWeight[lowest] = sortedWeight[s * topK + to];
        sortedWeight[s * topK + to] = moved;
      }
    }
    return withRoutes(sortedExpert, sortedPosition, sortedWeight);
  }

  /** A copy with other routes [S, K]. */
  public RouteTable withRoutes(long[] toExpert, long[] atPosition, float[] ofWeight) {
    Columns columns = new Columns(routes.choice, toExpert, atPosition, ofWeight);
    return new RouteTable(tokens, topK, experts, scores, columns, counts, offsets, losses);
  }

  private static int lowestRemaining(long[] values, int from, int to) {
    int lowest = from;
    for (int i = from + 1; i < to; i++) {
      if (values[i] < values[lowest]) {
        lowest = i;
      }
    }
    return lowest;
  }

  private static void swap(long[] values, int i, int j) {
    long moved = values[i];
    values[i] = values[j];
    values[j] = moved;
  }

  private static long[] widened(int[] values) {
    return Arrays.stream(values).asLongStream().toArray();
  }
}
