package panamoe.engine.sample;

/**
 * Log probabilities by the softmax of the model's logits, before {@link SamplingConfig} changes
 * them.
 *
 * @param logprob of the sampled token, in nats
 * @param tokens the most probable ones, best first; ties go to the lower token
 * @param logprobs of these
 */
public record TokenLogprobs(double logprob, int[] tokens, double[] logprobs) {
  /**
   * @param logits [V]
   * @param token that was sampled
   * @param best how many of the most probable ones
   */
  public static TokenLogprobs of(float[] logits, int token, int best) {
    double maximum = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      maximum = Math.max(maximum, logit);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - maximum);
    }
    double normalizer = maximum + Math.log(sum);
    int count = Math.min(best, logits.length);
    int[] tokens = new int[count];
    double[] logprobs = new double[count];
    int found = 0;
    for (int candidate = 0; candidate < logits.length && count > 0; candidate++) {
      if (found < count || logits[candidate] > logits[tokens[count - 1]]) {
        int place = found < count ? found++ : count - 1;
        while (place > 0 && logits[candidate] > logits[tokens[place - 1]]) {
          tokens[place] = tokens[place - 1];
          place--;
        }
        tokens[place] = candidate;
      }
    }
    for (int i = 0; i < count; i++) {
      logprobs[i] = logits[tokens[i]] - normalizer;
    }
    return new TokenLogprobs(logits[token] - normalizer, tokens, logprobs);
  }
}
