package panamoe.lab.conformance.replay;

import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * The order in which tokens enter a gate: their own, or, for batch-prioritised routing, that of
 * their best score. What comes out is put back.
 *
 * @param order for each place the token that stands there
 */
public record TokenOrder(int[] order) {
  /** As they come. */
  public static TokenOrder given(int tokens) {
    return new TokenOrder(IntStream.range(0, tokens).toArray());
  }

  /** The highest score first, equal ones as they come. */
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
    int width = table.length / order.length;
    float[] result = new float[table.length];
    for (int i = 0; i < order.length; i++) {
      System.arraycopy(table, order[i] * width, result, i * width, width);
    }
    return result;
  }

  /** Rows of a table [S, N] back in their own order. */
  public float[] restored(float[] table) {
    int width = table.length / order.length;
    float[] result = new float[table.length];
    for (int i = 0; i < order.length; i++) {
      System.arraycopy(table, i * width, result, order[i] * width, width);
    }
    return result;
  }

  /** As {@link #restored(float[])}. */
  public long[] restored(long[] table) {
    int width = table.length / order.length;
    long[] result = new long[table.length];
    for (int i = 0; i < order.length; i++) {
      System.arraycopy(table, i * width, result, order[i] * width, width);
    }
    return result;
  }
}
