package panamoe.backend;

/**
 * The rules of one attention call: the {@code moe_attention_config} of the C ABI.
 *
 * @param window 0 for none; n &gt; 0: of the causal tokens only the last n, the token itself
 *     included; 0 with {@link Mask#FULL}; above 0 with {@link Mask#CHUNKED}, a chunk's size
 * @param scale factor of {@code q . k}, finite
 * @param softCap c &gt; 0: a scaled score s becomes {@code c tanh(s / c)} (Gemma 2); 0 for none
 */
public record AttentionSettings(Mask mask, long window, float scale, float softCap) {

  /** Which tokens of its sequence a token attends to. */
  public enum Mask {
    /** Itself and those before it. */
    CAUSAL,
    /** All of them. */
    FULL,
    /** Itself and those before it in its chunk; a chunk has {@code window} positions (Llama 4). */
    CHUNKED
  }

  /** A causal mask without a window. */
  public static AttentionSettings causal(float scale) {
    return causal(0, scale);
  }

  public static AttentionSettings causal(long window, float scale) {
    return new AttentionSettings(Mask.CAUSAL, window, scale, 0);
  }

  /** The first position that the token at a position sees, unless it sees all. */
  public long firstSeen(long position) {
    if (window == 0) {
      return 0;
    }
    return mask == Mask.CHUNKED ? position / window * window : Math.max(0, position - window + 1);
  }

  /** Over a cache, whose positions limit what a token sees. */
  public AttentionSettings seeing() {
    return mask == Mask.FULL ? new AttentionSettings(Mask.CAUSAL, 0, scale, softCap) : this;
  }

  /** Every token attends to all tokens of its sequence. */
  public static AttentionSettings full(float scale) {
    return new AttentionSettings(Mask.FULL, 0, scale, 0);
  }
}
