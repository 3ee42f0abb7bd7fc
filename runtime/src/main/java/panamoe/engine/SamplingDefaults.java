package panamoe.engine;

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
   * @throws panamoe.checkpoint.CheckpointException if a value is not a number
   */
  static SamplingDefaults of(Keys keys) {
    Double topK = number(keys, "top_k");
    return new SamplingDefaults(
        keys.flag("do_sample", true) ? number(keys, "temperature") : Double.valueOf(0),
        topK == null ? null : Integer.valueOf(topK.intValue()),
        number(keys, "top_p"),
        number(keys, "min_p"),
        number(keys, "repetition_penalty"));
  }

  private static Double number(Keys keys, String name) {
    return keys.has(name) ? Double.valueOf(keys.number(name, 0)) : null;
  }
}
