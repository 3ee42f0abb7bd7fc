package panamoe.config;

import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * The table of tokens, and what the model knows of their places.
 *
 * @param positions whether a learned vector for each position is added
 * @param relative a bias of attention by relative position; null: none
 */
public record EmbeddingConfig(Positions positions, @Omittable Relative relative) {
  /** What the embedding knows of a token's place. */
  public enum Positions {
    NONE,
    LEARNED
  }

  /**
   * A learned bias for each head and each bucket of distances, which all layers share (T5): half of
   * the buckets are one distance each, the others grow by a factor up to the longest.
   *
   * @param buckets 4 or more, even; an encoder has half of them for either direction
   * @param distance from which on all are in one bucket, more than half of the buckets
   */
  public record Relative(int buckets, int distance) {
    public Relative {
      Require.size("buckets", buckets, Require.MAX_WIDTH);
      Require.size("distance", distance, Require.MAX_WIDTH);
      Require.that(
          buckets >= 4 && buckets % 2 == 0 && distance > buckets / 2,
          "there are %s buckets for relative positions up to %s, expected an even number from 4,"
              + " and more positions than half of it",
          buckets,
          distance);
    }

    /**
     * The bucket of the key {@code offset} positions behind the query, in float32 as transformers
     * computes it.
     *
     * @param both whether keys behind the query have buckets of their own; else they share the
     *     first
     */
    public int bucket(int offset, boolean both) {
      int side = both ? buckets / 2 : buckets;
      int away = both ? Math.abs(offset) : Math.max(0, -offset);
      int start = both && offset > 0 ? side : 0;
      int exact = side / 2;
      if (away < exact) {
        return start + away;
      }
      float part =
          (float) Math.log((float) away / exact) / (float) Math.log((double) distance / exact);
      return start + Math.min(side - 1, exact + (int) (part * (side - exact)));
    }
  }

  public EmbeddingConfig {
    Require.present("positions", positions);
  }

  /** Without relative positions. */
  public EmbeddingConfig(Positions positions) {
    this(positions, null);
  }
}
