package panamoe.config;

import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;

/**
 * The token table, and positions.
 *
 * @param positions whether a learned vector for each position is added
 * @param relative a bias of attention by relative position; null: none
 * @param scale factor of the vectors (Granite, Gemma), above 0; null: 1
 */
public record EmbeddingConfig(
    Positions positions, @Omittable Relative relative, @Omittable Double scale) {
  /** Positions in the embedding. */
  public enum Positions {
    NONE,
    LEARNED
  }

  /**
   * A learned bias for each head and bucket of distances, shared by all layers (T5): half of the
   * buckets are one distance each, the others grow exponentially.
   *
   * @param buckets 4 or more, even; an encoder has half of them for each direction
   * @param distance of the last bucket, which has all longer ones too; more than half of the
   *     buckets
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
     * The bucket of the key {@code offset} positions after the query, in float32 like transformers.
     *
     * @param both whether later keys have buckets of their own; else they share the first
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
    if (scale != null) {
      Require.positiveFloat("scale", scale);
    }
  }

  /**
   * The scale of vectors of a dtype, rounded to bfloat16 like Gemma's with such vectors; Granite's
   * published factors are exact in it.
   */
  public Double scaleOf(DType dtype) {
    return scale == null || dtype != DType.BFLOAT16
        ? scale
        : Double.valueOf(BFloat16.toFloat(BFloat16.fromFloat(scale.floatValue())));
  }

  /** Without relative positions and scale. */
  public EmbeddingConfig(Positions positions) {
    this(positions, null, null);
  }
}
