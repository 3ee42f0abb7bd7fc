package panamoe.config;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.tensor.DType;

/** Self-attention of either kind, and its needs of caches, masks and ranks. */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "kind")
@JsonSubTypes({
  @JsonSubTypes.Type(value = GroupedQueryConfig.class, name = "GROUPED_QUERY"),
  @JsonSubTypes.Type(value = LatentAttentionConfig.class, name = "LATENT")
})
public sealed interface AttentionConfig permits GroupedQueryConfig, LatentAttentionConfig {

  /** Rotary positions; null: none, or learned ones in the embedding. */
  Rotary rotary();

  /** How queries and keys give weights. */
  Scores scores();

  /** The rules of one call. */
  AttentionSettings settings();

  /** The cached row of a token on each of {@code ranks} tensor ranks. */
  CacheRow cacheRow(int ranks);

  /**
   * Bytes of the keys and values that {@code length} tokens after {@code cached} ones see, on each
   * of {@code ranks} tensor ranks.
   */
  default double cacheBytes(long cached, long length, int ranks, DType dtype) {
    return scores().keys(cached, length) * cacheRow(ranks).bytes(dtype);
  }

  /**
   * Refuses a number of tensor ranks that does not divide the heads.
   *
   * @throws IllegalArgumentException that names what does not divide
   */
  void requireShared(int ranks);

  /**
   * The key/value cache's row of a token in a layer.
   *
   * @param heads key/value heads
   * @param size elements of a head
   * @param once whether one row is both key and value
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
   * @param window a query sees this many keys, its own included; 0: all; with {@link Mask#CHUNKED}
   *     the size of a chunk
   * @param sinks whether each query head has a learned logit in the softmax, without a value
   *     (GPT-OSS)
   * @param scale factor of the products, above 0; null: 1 / sqrt(D)
   * @param softCap c, above 0: a scaled score s becomes {@code c tanh(s / c)} (Gemma 2); null: none
   */
  record Scores(
      Mask mask, int window, boolean sinks, @Omittable Double scale, @Omittable Double softCap) {
    /** Every earlier token, 1 / sqrt(D), no sinks. */
    public static final Scores CAUSAL = new Scores(Mask.CAUSAL, 0, false, null);

    public Scores {
      Require.present("mask", mask);
      Require.notNegative("window", window);
      if (scale != null) {
        Require.positiveFloat("scale", scale);
      }
      if (softCap != null) {
        Require.positiveFloat("softCap", softCap);
      }
      Require.that(mask != Mask.FULL || window <= 0, "window is %s, but the mask is FULL", window);
      Require.that(mask != Mask.CHUNKED || window > 0, "window is 0, but the mask is CHUNKED");
    }

    /** Without a soft cap. */
    public Scores(Mask mask, int window, boolean sinks, Double scale) {
      this(mask, window, sinks, scale, null);
    }

    /** Every earlier token of a window, or of all if it is 0. */
    public static Scores of(int window) {
      return new Scores(Mask.CAUSAL, window, false, null);
    }

    /** Every earlier token of a chunk of that size. */
    public static Scores ofChunks(int size) {
      return new Scores(Mask.CHUNKED, size, false, null);
    }

    /** These scores with a factor of the products; null: 1 / sqrt(D). */
    public Scores withScale(Double other) {
      return new Scores(mask, window, sinks, other, softCap);
    }

    /** These scores with a window; 0: none. */
    public Scores withWindow(int other) {
      return new Scores(mask, other, sinks, scale, softCap);
    }

    /** These scores with a soft cap; null: none. */
    public Scores withSoftCap(Double other) {
      return new Scores(mask, window, sinks, scale, other);
    }

    /** Whether the window is at most {@code keys}. */
    public boolean within(int keys) {
      return window > 0 && window <= keys;
    }

    /** Pairs of a query and a visible key, for L queries after {@code cached} tokens. */
    public double pairs(long cached, long length) {
      double end = cached + length;
      if (mask == Mask.FULL) {
        return length * end;
      }
      if (mask == Mask.CHUNKED) {
        return inChunks(end) - inChunks(cached);
      }
      double earlier = upTo(end) - upTo(cached);
      return window == 0 ? earlier : earlier - (upTo(end - window) - upTo(cached - window));
    }

    /** Keys that at least one of these queries sees. */
    public double keys(long cached, long length) {
      if (mask == Mask.CHUNKED) {
        return length + cached % window;
      }
      return window == 0 ? cached + length : Math.min(cached + length, length + window - 1L);
    }

    /** The rules of one call, with heads of {@code size} elements. */
    AttentionSettings settings(int size) {
      float factor = scale == null ? (float) (1 / Math.sqrt(size)) : scale.floatValue();
      return new AttentionSettings(
          mask, window, factor, softCap == null ? 0 : softCap.floatValue());
    }

    /** Pairs of the first {@code count} positions, in chunks. */
    private double inChunks(double count) {
      double whole = Math.floor(count / window);
      return whole * upTo(window) + upTo(count - whole * window);
    }

    /** 1 + 2 + ... + count. */
    private static double upTo(double count) {
      return count <= 0 ? 0 : count * (count + 1) / 2;
    }
  }
}
