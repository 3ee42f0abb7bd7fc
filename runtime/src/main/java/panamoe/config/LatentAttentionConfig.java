package panamoe.config;

import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): keys and values of all
 * heads are made of one short vector per token, the latent, and of a rotated key that the heads
 * share; only these two are cached.
 *
 * @param heads their number and sizes
 * @param ranks widths of the latents
 * @param norm of the latents
 * @param rotary of the shared key and of as many elements of each query; its size is that key's
 * @param scale factor of the products, above 0; null: 1 / sqrt(nope + rotary.size)
 */
public record LatentAttentionConfig(
    Heads heads, Ranks ranks, NormConfig norm, Rotary rotary, @Omittable Double scale)
    implements AttentionConfig {

  /**
   * The heads.
   *
   * @param count H
   * @param nope elements of a query and of a head's key that are not rotated
   * @param value elements of a head's value
   */
  public record Heads(int count, int nope, int value) {
    public Heads {
      Require.size("count", count, Require.MAX_WIDTH);
      Require.size("nope", nope, Require.MAX_WIDTH);
      Require.size("value", value, Require.MAX_WIDTH);
    }
  }

  /**
   * Widths of the latents: ranks of the factored projections.
   *
   * @param query of the queries' latent; null: queries are projected from the token
   * @param keyValue C, of the latent of keys and values
   */
  public record Ranks(@Omittable Integer query, int keyValue) {
    public Ranks {
      if (query != null) {
        Require.size("query", query, Require.MAX_WIDTH);
      }
      Require.size("keyValue", keyValue, Require.MAX_WIDTH);
    }
  }

  public LatentAttentionConfig {
    Require.present("heads", heads);
    Require.present("ranks", ranks);
    Require.present("norm", norm);
    Require.present("rotary", rotary);
    if (rotary.size() > Require.MAX_WIDTH) {
      throw new IllegalArgumentException(
          "rotary.size is " + rotary.size() + ", expected 2 to " + Require.MAX_WIDTH);
    }
    if (scale != null) {
      Require.positiveFloat("scale", scale);
    }
  }

  /** Elements of a query. */
  public int querySize() {
    return heads.nope + rotary.size();
  }

  /** Elements of a cached row: the latent, then the rotated key. */
  public int rowSize() {
    return ranks.keyValue + rotary.size();
  }

  @Override
  public Scores scores() {
    return new Scores(Mask.CAUSAL, 0, false, scale);
  }

  @Override
  public AttentionSettings settings() {
    return scores().settings(querySize());
  }

  @Override
  public CacheRow cacheRow(int tensorRanks) {
    return new CacheRow(1, rowSize(), true);
  }

  @Override
  public void requireShared(int tensorRanks) {
    if (heads.count % tensorRanks != 0) {
      throw new IllegalArgumentException(
          heads.count + " heads do not divide among " + tensorRanks + " tensor ranks");
    }
  }
}
