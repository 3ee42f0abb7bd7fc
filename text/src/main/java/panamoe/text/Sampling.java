package panamoe.text;

import java.util.Map;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.engine.sample.SamplingConfig;
import panamoe.open.SamplingDefaults;

/**
 * How tokens are sampled. In this order: penalties change logits, the temperature scales them, then
 * min-p, top-k and top-p remove tokens.
 *
 * @param temperature 0 takes the most probable token, 1 samples from the model's distribution; to
 *     100
 * @param topK only the k most probable tokens; 0 for all
 * @param topP only the fewest tokens whose probabilities reach p, more than 0; 1 for all
 * @param minP only tokens at least p times as probable as the best one; 0 for all
 * @param penalties of tokens that came before
 * @param seed of the random numbers; the same seed gives the same completion
 */
public record Sampling(
    double temperature, int topK, double topP, double minP, Penalties penalties, long seed) {
  /**
   * Penalties on tokens that occurred before.
   *
   * @param repetition logits of tokens in the prompt or the completion are divided by it if
   *     positive, else multiplied; more than 0 to 100; 1 for none
   * @param presence subtracted from the logits of tokens in the completion; -100 to 100
   * @param frequency subtracted from them once for each occurrence; -100 to 100
   */
  public record Penalties(double repetition, double presence, double frequency) {
    /**
     * Checks the values.
     *
     * @throws panamoe.api.PanamoeException.BadArgument if one is out of range
     */
    public Penalties {
      Failures.run(() -> new SamplingConfig.Penalties(repetition, presence, frequency));
    }

    /** No penalties. */
    public static final Penalties NONE = new Penalties(1, 0, 0);
  }

  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if one is null or out of range
   */
  public Sampling {
    Failures.run(() -> config(temperature, topK, topP, minP, penalties, seed));
  }

  /** Always the most probable token. */
  public static final Sampling GREEDY = of(0, 0);

  /** From all tokens, without penalties. */
  public static Sampling of(double temperature, long seed) {
    return new Sampling(temperature, 0, 1, 0, Penalties.NONE, seed);
  }

  static Sampling of(SamplingDefaults defaults) {
    SamplingConfig usual = defaults.toConfig();
    Penalties penalties = new Penalties(usual.penalties().repetition(), 0, 0);
    return new Sampling(
        usual.temperature(), usual.topK(), usual.topP(), usual.minP(), penalties, usual.seed());
  }

  /** This sampling from the {@code value} most probable tokens; 0 for all. */
  public Sampling withTopK(int value) {
    return new Sampling(temperature, value, topP, minP, penalties, seed);
  }

  /** This sampling from the fewest tokens whose probabilities reach {@code value}; 1 for all. */
  public Sampling withTopP(double value) {
    return new Sampling(temperature, topK, value, minP, penalties, seed);
  }

  /** This sampling from tokens at least {@code value} times as probable as the best one. */
  public Sampling withMinP(double value) {
    return new Sampling(temperature, topK, topP, value, penalties, seed);
  }

  /** This sampling with other penalties. */
  public Sampling withPenalties(Penalties value) {
    return new Sampling(temperature, topK, topP, minP, value, seed);
  }

  /** This sampling with another seed. */
  public Sampling withSeed(long value) {
    return new Sampling(temperature, topK, topP, minP, penalties, value);
  }

  SamplingConfig toConfig() {
    return config(temperature, topK, topP, minP, penalties, seed);
  }

  private static SamplingConfig config(
      double temperature, int topK, double topP, double minP, Penalties penalties, long seed) {
    Penalties wanted = Argument.notNull("penalties", penalties);
    SamplingConfig.Penalties given =
        new SamplingConfig.Penalties(wanted.repetition(), wanted.presence(), wanted.frequency());
    return new SamplingConfig(temperature, topK, topP, minP, given, Map.of(), seed);
  }
}
