package panamoe.lab.load;

import panamoe.engine.GenerationListener;
import panamoe.engine.sample.TokenLogprobs;

/**
 * What an engine wrote, and how probable it found each token.
 *
 * @param ids [texts, tokens + 1]: the prompt's token, then those that were drawn
 * @param logprobs [texts, tokens] of these, in nats
 */
record GeneratedTexts(int[][] ids, double[][] logprobs) {
  /**
   * Texts to be written.
   *
   * @param first token of each
   */
  static GeneratedTexts of(int texts, int tokens, int first) {
    int[][] ids = new int[texts][tokens + 1];
    for (int[] text : ids) {
      text[0] = first;
    }
    return new GeneratedTexts(ids, new double[texts][tokens]);
  }

  /** Notes each token of a text as it is drawn. */
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

  /** How far others' log-probabilities of these tokens are from ours, on average. */
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
