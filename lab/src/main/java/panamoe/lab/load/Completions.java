package panamoe.lab.load;

import panamoe.engine.GenerationListener;
import panamoe.engine.sample.TokenLogprobs;

/**
 * The completions of an engine, with log-probabilities.
 *
 * @param ids [sequences, tokens + 1]: the prompt's token, then the sampled ones
 * @param logprobs [sequences, tokens] of the sampled tokens, in nats
 */
record Completions(int[][] ids, double[][] logprobs) {
  /**
   * Empty completions, to be filled by {@link #listener}.
   *
   * @param first token of each sequence
   */
  static Completions of(int texts, int tokens, int first) {
    int[][] ids = new int[texts][tokens + 1];
    for (int[] text : ids) {
      text[0] = first;
    }
    return new Completions(ids, new double[texts][tokens]);
  }

  /** Stores each sampled token of sequence {@code text}. */
  GenerationListener listener(int text) {
    return new GenerationListener() {
      private int length;

      @Override
      public void sampled(int token, TokenLogprobs told, int[] experts) {
        logprobs[text][length++] = told.logprob();
        ids[text][length] = token;
      }

      @Override
      public void failed(RuntimeException failure) {
        throw failure;
      }
    };
  }

  /** The mean absolute difference of {@code others} from our log-probabilities. */
  double difference(double[][] others) {
    double sum = 0;
    int count = 0;
    for (int text = 0; text < logprobs.length; text++) {
      for (int token = 0; token < logprobs[text].length; token++) {
        sum += Math.abs(logprobs[text][token] - others[text][token]);
        count++;
      }
    }
    return sum / count;
  }
}
