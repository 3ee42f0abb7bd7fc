package panamoe.engine.sample;

import java.util.Map;
import panamoe.io.Require;

/**
 * How a token is sampled from logits. In this order: biases and penalties change logits,
 * temperature scales them, then min-p, top-k and top-p remove tokens.
 *
 * @param temperature 0 takes the most probable token; 1 samples from the model's distribution
 * @param topK only the k most probable tokens; 0 for all
 * @param topP only the fewest tokens whose probabilities reach p; 1 for all
 * @param minP only tokens at least p times as probable as the best one (arXiv 2407.01082); 0 for
 *     all
 * @param penalties of tokens that came before
 * @param logitBias added to logits of tokens, before penalties
 * @param seed of the random numbers
 */
public record SamplingConfig(
    double temperature,
    int topK,
    double topP,
    double minP,
    Penalties penalties,
    Map<Integer, Float> logitBias,
    long seed) {

  /**
   * Penalties on tokens that occurred before.
   *
   * @param repetition logits of tokens in the prompt or the completion are divided by it if
   *     positive, else multiplied (CTRL, arXiv 1909.05858); 1 for none
   * @param presence subtracted from the logits of tokens in the completion
   * @param frequency subtracted from them once for each occurrence
   */
  public record Penalties(double repetition, double presence, double frequency) {
    public static final Penalties NONE = new Penalties(1, 0, 0);

    private static final double MOST = 100;

    public Penalties {
      if (!(repetition > 0 && repetition <= MOST)) {
        throw new IllegalArgumentException(
            "the repetition penalty is " + repetition + ", expected more than 0 to 100");
      }
      requireAtMost("the presence penalty", presence);
      requireAtMost("the frequency penalty", frequency);
    }

    private static void requireAtMost(String name, double value) {
      Require.that(Math.abs(value) <= MOST, "%s is %s, expected -100 to 100", name, value);
    }

    /** Whether the counts of the completion's tokens are needed. */
    boolean counts() {
      return presence != 0 || frequency != 0;
    }
  }

  /** Always the most probable token. */
  public static final SamplingConfig GREEDY = of(0, 0, 1, 0);

  public SamplingConfig {
    if (!(temperature >= 0 && temperature <= 100)) {
      throw new IllegalArgumentException("temperature is " + temperature + ", expected 0 to 100");
    }
    Require.that(topK >= 0, "top-k is %s, expected 0 (all) or more", topK);
    Require.that(topP > 0 && topP <= 1, "top-p is %s, expected more than 0 and at most 1", topP);
    Require.that(minP >= 0 && minP <= 1, "min-p is %s, expected 0 to 1", minP);
    logitBias = Map.copyOf(logitBias);
    for (Map.Entry<Integer, Float> bias : logitBias.entrySet()) {
      if (!Float.isFinite(bias.getValue())) {
        throw new IllegalArgumentException(
            "the bias of token " + bias.getKey() + " is " + bias.getValue());
      }
    }
  }

  /** Without min-p, penalties and biases. */
  public static SamplingConfig of(double temperature, int topK, double topP, long seed) {
    return new SamplingConfig(temperature, topK, topP, 0, Penalties.NONE, Map.of(), seed);
  }

  public SamplingConfig withPenalties(Penalties changed) {
    return new SamplingConfig(temperature, topK, topP, minP, changed, logitBias, seed);
  }

  public SamplingConfig withSeed(long changed) {
    return new SamplingConfig(temperature, topK, topP, minP, penalties, logitBias, changed);
  }

  /**
   * @throws IllegalArgumentException if a bias names a token outside the vocabulary
   */
  public void requireFits(int vocabulary) {
    for (int token : logitBias.keySet()) {
      if (token < 0 || token >= vocabulary) {
        throw new IllegalArgumentException(
            "a logit bias is of token " + token + ", which is none of 0 to " + (vocabulary - 1));
      }
    }
  }
}
