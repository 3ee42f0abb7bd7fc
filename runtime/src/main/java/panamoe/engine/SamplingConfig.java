package panamoe.engine;

import java.util.List;

/**
 * Settings for drawing tokens.
 *
 * @param temperature 0 takes the most probable token; 1 samples the model's distribution
 * @param topK only the k most probable tokens; 0 for all
 * @param topP only the fewest tokens whose probabilities reach p; 1 for all
 * @param repetitionPenalty logits of tokens already in the sequence are divided by it if positive,
 *     else multiplied (CTRL, arXiv 1909.05858); 1 for none
 * @param maxTokens most tokens to generate
 * @param stop texts that end the generation; they are not part of the output
 * @param seed of the random draws
 */
public record SamplingConfig(
    double temperature,
    int topK,
    double topP,
    double repetitionPenalty,
    int maxTokens,
    List<String> stop,
    long seed) {

  public SamplingConfig {
    if (!(temperature >= 0 && temperature <= 100)) {
      throw new IllegalArgumentException("temperature is " + temperature + ", expected 0 to 100");
    }
    if (topK < 0) {
      throw new IllegalArgumentException("top-k is " + topK + ", expected 0 (all) or more");
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new IllegalArgumentException(
          "top-p is " + topP + ", expected more than 0 and at most 1");
    }
    if (!(repetitionPenalty > 0 && repetitionPenalty <= 100)) {
      throw new IllegalArgumentException(
          "the repetition penalty is " + repetitionPenalty + ", expected more than 0 to 100");
    }
    if (maxTokens < 0) {
      throw new IllegalArgumentException(
          "the number of tokens is " + maxTokens + ", expected 0 or more");
    }
    stop = List.copyOf(stop);
    if (stop.stream().anyMatch(String::isEmpty)) {
      throw new IllegalArgumentException("a stop text is empty");
    }
  }

  /** Always the most probable token. */
  public static SamplingConfig greedy(int maxTokens) {
    return new SamplingConfig(0, 0, 1, 1, maxTokens, List.of(), 0);
  }
}
