package panamoe.open;

import java.util.Map;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.family.Keys;

/**
 * How a model's makers draw its tokens, for texts that do not say otherwise; null where they say
 * nothing.
 */
public record SamplingDefaults(
    Double temperature, Integer topK, Double topP, Double minP, Double repetitionPenalty) {
  /** Of a model whose makers say nothing. */
  public static final SamplingDefaults NONE = new SamplingDefaults(null, null, null, null, null);

  /**
   * Reads {@code generation_config.json}; keys that are not of sampling stay unread.
   *
   * @throws panamoe.checkpoint.CheckpointException if a value is not a number, or out of range
   */
  static SamplingDefaults of(Keys keys) {
    Double topK = number(keys, "top_k");
    if (topK != null && topK != Math.rint(topK)) {
      throw keys.bad("top_k", topK.toString(), "a whole number");
    }
    SamplingDefaults defaults =
        new SamplingDefaults(
            keys.flag("do_sample", true) ? number(keys, "temperature") : Double.valueOf(0),
            topK == null ? null : Integer.valueOf(Math.max(0, topK.intValue())), // -1 is all, too
            number(keys, "top_p"),
            number(keys, "min_p"),
            number(keys, "repetition_penalty"));
    try {
      defaults.toConfig();
    } catch (IllegalArgumentException e) {
      throw keys.bad(e.getMessage());
    }
    return defaults;
  }

  /**
   * From all tokens where they say nothing. Wrong values are refused when they are read, because a
   * request that leaves them out could not be told of them.
   */
  public SamplingConfig toConfig() {
    return new SamplingConfig(
        temperature == null ? 1 : temperature,
        topK == null ? 0 : topK,
        topP == null ? 1 : topP,
        minP == null ? 0 : minP,
        new SamplingConfig.Penalties(repetitionPenalty == null ? 1 : repetitionPenalty, 0, 0),
        Map.of(),
        0);
  }

  private static Double number(Keys keys, String name) {
    return keys.has(name) ? Double.valueOf(keys.number(name, 0)) : null;
  }
}
