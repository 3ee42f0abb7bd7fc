package panamoe.engine.sample;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.LossKernels;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Log probabilities by the softmax of the model's logits, before {@link SamplingConfig} changes
 * them. A token's has the bits of its negative loss in training: the kernel of the loss sums.
 *
 * @param logprob of the sampled token, in nats
 * @param tokens the most probable ones, best first; ties go to the lower token
 * @param logprobs of these
 */
public record TokenLogprobs(double logprob, int[] tokens, double[] logprobs) {
  /**
   * The log probabilities of a token in each of some rows.
   *
   * @param logits [S, V]
   * @param tokens [S], at least one
   * @param best how many of the most probable ones
   */
  public static List<TokenLogprobs> of(Backend backend, float[] logits, int[] tokens, int best) {
    int rows = tokens.length;
    int width = logits.length / rows;
    int[] likeliest = new int[rows];
    for (int row = 0; row < rows; row++) {
      int start = row * width;
      for (int token = 1; token < width; token++) {
        likeliest[row] =
            logits[start + token] > logits[start + likeliest[row]] ? token : likeliest[row];
      }
    }
    // The loss of a row's likeliest token is the logarithm of the softmax's sum.
    float[] sums;
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor losses = scope.allocate(DType.FLOAT32, rows);
      backend.crossEntropy(
          new LossKernels.Tokens(scope.allocate(DType.INT32, rows).set(likeliest), 0, 0, losses, 0),
          scope.allocate(DType.FLOAT32, rows, width).set(logits),
          null);
      sums = losses.toFloats();
    }
    List<TokenLogprobs> all = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      Row each =
          new Row(logits, row * width, width, logits[row * width + likeliest[row]], sums[row]);
      all.add(each.of(tokens[row], best));
    }
    return all;
  }

  /**
   * A row of logits.
   *
   * @param start of the row
   * @param sum the logarithm of the sum of exp(logit - maximum)
   */
  private record Row(float[] logits, int start, int width, float maximum, float sum) {
    float logit(int token) {
      return logits[start + token];
    }

    /** The steps and roundings of the kernel's loss. */
    double logprob(int token) {
      return -(sum - (logit(token) - maximum));
    }

    TokenLogprobs of(int token, int best) {
      int count = Math.min(best, width);
      int[] tokens = new int[count];
      int found = 0;
      for (int candidate = 0; candidate < width && count > 0; candidate++) {
        if (found < count || logit(candidate) > logit(tokens[count - 1])) {
          int place = found < count ? found++ : count - 1;
          while (place > 0 && logit(candidate) > logit(tokens[place - 1])) {
            tokens[place] = tokens[place - 1];
            place--;
          }
          tokens[place] = candidate;
        }
      }
      double[] logprobs = new double[count];
      for (int i = 0; i < count; i++) {
        logprobs[i] = logprob(tokens[i]);
      }
      return new TokenLogprobs(logprob(token), tokens, logprobs);
    }
  }
}
