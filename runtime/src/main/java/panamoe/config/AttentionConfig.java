package panamoe.config;

import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.io.Omittable;

/**
 * Grouped-query self-attention: H query heads of size D, of which H / G share a key/value head.
 *
 * @param heads their numbers and size
 * @param biases which projections have a bias
 * @param queryKeyNorm normalises queries and keys before the rotation; null: none
 * @param clip C, queries, keys and values are limited to [-C, C], normalised ones after the norm
 *     (OLMoE, DBRX); null: not
 * @param rotary positions; null: none, or learned ones in the embedding
 * @param scores how queries and keys become weights
 */
public record AttentionConfig(
    Heads heads,
    Biases biases,
    @Omittable QueryKeyNorm queryKeyNorm,
    @Omittable Double clip,
    @Omittable Rotary rotary,
    Scores scores) {

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
    /** On all four, or on none. */
    public static Biases all(boolean present) {
      return new Biases(present, present, present, present);
    }
  }

  /**
   * A norm of queries and one of keys, each with its own weights.
   *
   * @param over a head at a time with weights [D] (Qwen3), or the whole projection with weights [H
   *     * D] and [G * D] (OLMoE)
   */
  public record QueryKeyNorm(Over over, NormConfig norm) {
    /** What a norm's statistics are taken over. */
    public enum Over {
      HEAD,
      PROJECTION
    }

    public QueryKeyNorm {
      Require.present("over", over);
      Require.present("norm", norm);
    }
  }

  /**
   * The softmax over keys.
   *
   * @param mask which keys a query sees
   * @param window a query sees this many keys, its own included; 0: all
   * @param sinks whether each query head has a learned logit that takes its share of the softmax
   *     and has no value (GPT-OSS)
   * @param scale factor of the products, above 0; null: 1 / sqrt(D)
   */
  public record Scores(Mask mask, int window, boolean sinks, @Omittable Double scale) {
    /** Every earlier token, 1 / sqrt(D), no sinks. */
    public static final Scores CAUSAL = new Scores(Mask.CAUSAL, 0, false, null);

    public Scores {
      Require.present("mask", mask);
      Require.notNegative("window", window);
      if (scale != null) {
        Require.positiveFloat("scale", scale);
      }
      if (mask == Mask.FULL && window > 0) {
        throw new IllegalArgumentException("window is " + window + ", but the mask is FULL");
      }
    }

    /** Whether there is a window of at most {@code keys}. */
    public boolean within(int keys) {
      return window > 0 && window <= keys;
    }

    /** Pairs of a query and a key that it sees, of L queries behind {@code cached} tokens. */
    public double pairs(long cached, long length) {
      double end = cached + length;
      if (mask == Mask.FULL) {
        return length * end;
      }
      double earlier = upTo(end) - upTo(cached);
      return window == 0 ? earlier : earlier - (upTo(end - window) - upTo(cached - window));
    }

    /** Keys that at least one of those queries sees. */
    public double keys(long cached, long length) {
      return window == 0 ? cached + length : Math.min(cached + length, length + window - 1L);
    }

    /** 1 + 2 + ... + count. */
    private static double upTo(double count) {
      return count <= 0 ? 0 : count * (count + 1) / 2;
    }
  }

  public AttentionConfig {
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
  }

  /** The rules of one call. */
  public AttentionSettings settings() {
    float scale =
        scores.scale == null ? (float) (1 / Math.sqrt(heads.size)) : scores.scale.floatValue();
    return new AttentionSettings(scores.mask, scores.window, scale);
  }
}
