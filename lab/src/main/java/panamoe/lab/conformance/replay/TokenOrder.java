package panamoe.lab.conformance.replay;

import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * The order in which tokens enter a gate: the given one or, for batch-prioritised routing, by best
 * score; and the way back.
 *
 * @param order token at each position
 */
public record TokenOrder(int[] order) {
  /** The given order. */
  public static TokenOrder given(int tokens) {
    return new TokenOrder(IntStream.range(0, tokens).toArray());
  }

  /** By best score, highest first; stable. */
  public static TokenOrder byBest(RouteTable table) {
    return new TokenOrder(
        IntStream.range(0, table.tokens())
            .boxed()
            .sorted(Comparator.comparingDouble(s -> -best(table, s)))
            .mapToInt(Integer::intValue)
            .toArray());
  }

  private static float best(RouteTable table, int token) {
    float best = Float.NEGATIVE_INFINITY;
    for (int e = 0; e < table.experts(); e++) {
      best = Math.max(best, table.scores()[token * table.experts() + e]);
    }
    return best;
  }

  /** Rows of a table [S, N] in this order. */
  public float[] permuted(float[] table) {
    return moved(table, new float[table.length], table.length, true);
  }

  /** Rows of a table [S, N] back in the given order. */
  public float[] restored(float[] table) {
    return moved(table, new float[table.length], table.length, false);
  }

  /** As {@link #restored(float[])}. */
  public long[] restored(long[] table) {
    return moved(table, new long[table.length], table.length, false);
  }

  private <T> T moved(T from, T to, int length, boolean taken) {
    int width = length / order.length;
    for (int i = 0; i < order.length; i++) {
      int given = order[i] * width;
      System.arraycopy(from, taken ? given : i * width, to, taken ? i * width : given, width);
    }
    return to;
  }
}
