package panamoe.open;

import java.util.Map;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.family.Keys;

/** The publisher's sampling defaults ({@code generation_config.json}); null where absent. */
public record SamplingDefaults(
    Double temperature, Integer topK, Double topP, Double minP, Double repetitionPenalty) {
  /** No defaults. */
  public static final SamplingDefaults NONE = new SamplingDefaults(null, null, null, null, null);

  /**
   * Reads the sampling keys of {@code generation_config.json}.
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
            topK == null ? null : Integer.valueOf(Math.max(0, topK.intValue())), // -1: all
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
   * Without defaults, samples from all tokens. Wrong values are refused when the file is read: a
   * request that relies on them could not be answered with an error.
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
