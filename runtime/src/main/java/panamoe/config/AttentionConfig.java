package panamoe.config;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.tensor.DType;

/** Self-attention of either kind, and what caches, masks and ranks ask of both. */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "kind")
@JsonSubTypes({
  @JsonSubTypes.Type(value = GroupedQueryConfig.class, name = "GROUPED_QUERY"),
  @JsonSubTypes.Type(value = LatentAttentionConfig.class, name = "LATENT")
})
public sealed interface AttentionConfig permits GroupedQueryConfig, LatentAttentionConfig {

  /** Positions; null: none, or learned ones in the embedding. */
  Rotary rotary();

  /** How queries and keys become weights. */
  Scores scores();

  /** The rules of one call. */
  AttentionSettings settings();

  /** What each of {@code ranks} tensor ranks caches of a token. */
  CacheRow cacheRow(int ranks);

  /**
   * Bytes that each of {@code ranks} tensor ranks caches of the keys and values that {@code length}
   * tokens behind {@code cached} ones see.
   */
  default double cacheBytes(long cached, long length, int ranks, DType dtype) {
    return scores().keys(cached, length) * cacheRow(ranks).bytes(dtype);
  }

  /**
   * Refuses tensor ranks that cannot share the heads.
   *
   * @throws IllegalArgumentException that names what does not divide
   */
  void requireShared(int ranks);

  /**
   * What the key/value cache keeps of a token in a layer.
   *
   * @param heads key/value heads
   * @param size elements of a head
   * @param once whether a row is key and value, so that it is kept once
   */
  record CacheRow(int heads, int size, boolean once) {
    /** Bytes in {@code dtype}; INT8 has a scale for each head. */
    public long bytes(DType dtype) {
      long scale = dtype == DType.INT8 ? DType.FLOAT32.bytes() : 0;
      return (once ? 1L : 2L) * heads * (size * (long) dtype.bytes() + scale);
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
  record Scores(Mask mask, int window, boolean sinks, @Omittable Double scale) {
    /** Every earlier token, 1 / sqrt(D), no sinks. */
    public static final Scores CAUSAL = new Scores(Mask.CAUSAL, 0, false, null);

    public Scores {
      Require.present("mask", mask);
      Require.notNegative("window", window);
      if (scale != null) {
        Require.positiveFloat("scale", scale);
      }
      Require.that(mask != Mask.FULL || window <= 0, "window is %s, but the mask is FULL", window);
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

    /** The rules of one call, whose products are over {@code size} elements. */
    AttentionSettings settings(int size) {
      float factor = scale == null ? (float) (1 / Math.sqrt(size)) : scale.floatValue();
      return new AttentionSettings(mask, window, factor);
    }

    /** 1 + 2 + ... + count. */
    private static double upTo(double count) {
      return count <= 0 ? 0 : count * (count + 1) / 2;
    }
  }
}
