package panamoe.config;

import panamoe.backend.AttentionSettings;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * Grouped-query self-attention: H query heads of size D, of which H / G share a key/value head.
 *
 * @param heads their numbers and size
 * @param biases which projections have a bias
 * @param queryKeyNorm normalises queries and keys before the rotation; null: none
 * @param clip C: queries, keys and values are clamped to [-C, C], after a norm (OLMoE, DBRX); null:
 *     no clamp
 * @param rotary positions; null: none, or learned ones in the embedding
 * @param scores how queries and keys give weights
 * @param temperature a factor of queries that grows with their position; null: none
 * @param values what values are made of; null: a projection alone
 */
public record GroupedQueryConfig(
    Heads heads,
    Biases biases,
    @Omittable QueryKeyNorm queryKeyNorm,
    @Omittable Double clip,
    @Omittable Rotary rotary,
    Scores scores,
    @Omittable Temperature temperature,
    @Omittable Values values)
    implements AttentionConfig {

  /**
   * The heads. The projection of queries is [H * D, M], those of keys and values [G * D, M].
   *
   * @param query H
   * @param keyValue G, divides H; fewer is grouped-query attention, 1 multi-query attention
   * @param size D
   */
  public record Heads(int query, int keyValue, int size) {
    public Heads {
      Require.size("query", query, Require.MAX_WIDTH);
      Require.size("keyValue", keyValue, Require.MAX_WIDTH);
      Require.size("size", size, Require.MAX_WIDTH);
      if (query % keyValue != 0) {
        throw new IllegalArgumentException(
            "query is " + query + ", which " + keyValue + " key/value heads do not divide");
      }
    }
  }

  /** Which of the four projections have a bias. */
  public record Biases(boolean query, boolean key, boolean value, boolean output) {
    /** On all four or none. */
    public static Biases all(boolean present) {
      return new Biases(present, present, present, present);
    }
  }

  /**
   * A norm of queries and one of keys, each with its own weights.
   *
   * @param over a head at a time with weights [D] (Qwen3), or the whole projection with weights [H
   *     * D] and [G * D] (OLMoE)
   * @param withoutWeights whether both have none (Llama 4); null: no
   */
  public record QueryKeyNorm(Over over, NormConfig norm, @Omittable Boolean withoutWeights) {
    /** The extent of a norm's statistics. */
    public enum Over {
      HEAD,
      /** A head at a time, after the rotation (Hunyuan). */
      ROTATED_HEAD,
      PROJECTION
    }

    public QueryKeyNorm {
      Require.present("over", over);
      Require.present("norm", norm);
      if (Boolean.TRUE.equals(withoutWeights)) {
        requireWithoutWeights(norm);
      }
    }

    /** With weights. */
    public QueryKeyNorm(Over over, NormConfig norm) {
      this(over, norm, null);
    }

    public boolean weighted() {
      return !Boolean.TRUE.equals(withoutWeights);
    }
  }

  private static void requireWithoutWeights(NormConfig norm) {
    Require.that(
        norm.kind() == NormConfig.Kind.RMS && norm.offset() == 0,
        "norm is %s, but a norm without weights is RMS without an offset",
        norm);
  }

  /**
   * The factor {@code 1 + scale ln(1 + floor((position + 1) / positions))} (Llama 4).
   *
   * @param positions up to which it is 1
   */
  public record Temperature(double scale, int positions) {
    public Temperature {
      Require.positiveFloat("scale", scale);
      Require.size("positions", positions, Require.MAX_SIZE);
    }

    /** At a position. */
    public double factor(int position) {
      return 1 + scale * Math.log1p((position + 1L) / positions);
    }
  }

  /**
   * How values are made (Gemma 4).
   *
   * @param ofKeys whether they are the projected keys, before these are normalised and rotated,
   *     instead of a projection of their own
   * @param norm of a head at a time, without weights; null: none
   */
  public record Values(boolean ofKeys, @Omittable NormConfig norm) {
    public Values {
      if (norm != null) {
        requireWithoutWeights(norm);
      }
    }
  }

  public GroupedQueryConfig {
    Require.present("heads", heads);
    Require.present("biases", biases);
    Require.present("scores", scores);
    if (clip != null) {
      Require.positiveFloat("clip", clip);
    }
    if (rotary != null && rotary.size() > heads.size()) {
      throw new IllegalArgumentException(
          "rotary.size is " + rotary.size() + ", more than a head's " + heads.size());
    }
    Require.that(
        temperature == null || heads.size % 2 == 0,
        "heads.size is %s, but a temperature needs an even one",
        heads.size);
    Require.that(
        values == null || !values.ofKeys || !biases.value,
        "biases.value is true, but values.ofKeys leaves no projection of values");
  }

  /** With a projection of values alone. */
  public GroupedQueryConfig(
      Heads heads,
      Biases biases,
      QueryKeyNorm queryKeyNorm,
      Double clip,
      Rotary rotary,
      Scores scores,
      Temperature temperature) {
    this(heads, biases, queryKeyNorm, clip, rotary, scores, temperature, null);
  }

  /** Without a temperature. */
  public GroupedQueryConfig(
      Heads heads,
      Biases biases,
      QueryKeyNorm queryKeyNorm,
      Double clip,
      Rotary rotary,
      Scores scores) {
    this(heads, biases, queryKeyNorm, clip, rotary, scores, null);
  }

  /**
   * Every query sees all earlier keys, without a norm or a clamp of either.
   *
   * @param biased whether all four projections have a bias
   */
  public static GroupedQueryConfig of(Heads heads, boolean biased, Rotary rotary) {
    return new GroupedQueryConfig(heads, Biases.all(biased), null, null, rotary, Scores.CAUSAL);
  }

  /** This attention with other biases. */
  public GroupedQueryConfig with(Biases other) {
    return new GroupedQueryConfig(
        heads, other, queryKeyNorm, clip, rotary, scores, temperature, values);
  }

  /** This attention with a norm of queries and keys; null: none. */
  public GroupedQueryConfig with(QueryKeyNorm other) {
    return new GroupedQueryConfig(heads, biases, other, clip, rotary, scores, temperature, values);
  }

  /** This attention with clamped queries, keys and values; null: none. */
  public GroupedQueryConfig withClip(Double other) {
    return new GroupedQueryConfig(
        heads, biases, queryKeyNorm, other, rotary, scores, temperature, values);
  }

  /** This attention with other positions; null: none. */
  public GroupedQueryConfig withRotary(Rotary other) {
    return new GroupedQueryConfig(
        heads, biases, queryKeyNorm, clip, other, scores, temperature, values);
  }

  /** This attention with other scores. */
  public GroupedQueryConfig with(Scores other) {
    return new GroupedQueryConfig(
        heads, biases, queryKeyNorm, clip, rotary, other, temperature, values);
  }

  /** This attention with a temperature; null: none. */
  public GroupedQueryConfig with(Temperature other) {
    return new GroupedQueryConfig(heads, biases, queryKeyNorm, clip, rotary, scores, other, values);
  }

  /** This attention with other values; null: a projection alone. */
  public GroupedQueryConfig with(Values other) {
    return new GroupedQueryConfig(
        heads, biases, queryKeyNorm, clip, rotary, scores, temperature, other);
  }

  /** Whether values are the projected keys. */
  public boolean valuesOfKeys() {
    return values != null && values.ofKeys;
  }

  @Override
  public AttentionSettings settings() {
    return scores.settings(heads.size);
  }

  @Override
  public CacheRow cacheRow(int ranks) {
    return new CacheRow(heads.keyValue / ranks, heads.size, false);
  }

  @Override
  public void requireShared(int ranks) {
    if (heads.keyValue % ranks != 0) {
      throw new IllegalArgumentException(
          heads.keyValue + " key/value heads do not divide among " + ranks + " tensor ranks");
    }
    boolean whole = queryKeyNorm != null && queryKeyNorm.over == QueryKeyNorm.Over.PROJECTION;
    Require.that(
        ranks == 1 || !whole,
        "a queryKeyNorm over the whole PROJECTION needs all heads on one rank, not on %s tensor ranks",
        ranks);
  }
}
