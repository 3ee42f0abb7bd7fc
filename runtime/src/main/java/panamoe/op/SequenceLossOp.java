package panamoe.op;

import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The sequence-wise auxiliary loss (DeepSeek-V3, arXiv 2412.19437, equations 17 to 20): each
 * sequence's own balance, as the mean over sequences (docs/gating.md, Losses).
 */
public final class SequenceLossOp {
  private SequenceLossOp() {}

  /**
   * Replaces the auxiliary loss in {@code routes.losses()}, and puts its gradient on the tape.
   *
   * @param logits FLOAT32 [S, E]
   * @param length tokens of a sequence; divides S
   * @param coefficient derivative of the objective by the loss, the mean over the sequences of all
   *     ranks, which have as many each
   */
  public static void forward(
      Pass pass,
      GateSettings settings,
      Tensor logits,
      Routes routes,
      long length,
      float coefficient) {
    pass.backend().synchronize();
    int experts = routes.experts();
    int sequences = Math.toIntExact(routes.tokens() / length);
    float[] scores = routes.scores().toFloats();
    double[] dp = new double[sequences * experts]; // of the loss by a used token's distribution
    double loss = 0;
    for (int i = 0; i < sequences; i++) {
      loss += sequence(settings, routes, scores, i, Math.toIntExact(length), dp);
    }
    double all = (double) sequences * pass.batch().size();
    routes.losses().setFloat(0, (float) (pass.batch().allReduce(loss) / all));
    if (pass.recording() && coefficient != 0) {
      double factor = coefficient / all;
      pass.tape()
          .record(
              () ->
                  pass.tape()
                      .addGradient(
                          logits,
                          dlogits(pass, settings.score(), routes.scores(), length, dp, factor)));
    }
  }

  /** A sequence's loss; writes its derivatives by a token's distribution into {@code dp}. */
  private static double sequence(
      GateSettings settings, Routes routes, float[] scores, int index, int length, double[] dp) {
    int experts = routes.experts();
    int topK = routes.topK();
    int[] choice = routes.choice().rows((long) index * length, (index + 1L) * length).toInts();
    int first = index * experts;
    double[] sums = new double[experts];
    int used = 0;
    for (int token = 0; token < length; token++) {
      if (choice[token * topK] < 0) {
        continue;
      }
      used++;
      int row = (index * length + token) * experts;
      double total = sum(scores, row, experts);
      for (int e = 0; e < experts; e++) {
        sums[e] += scores[row + e] / total;
      }
      for (int k = 0; k < settings.auxiliaryChoices(); k++) {
        dp[first + choice[token * topK + k]]++;
      }
    }
    double loss = 0;
    for (int e = 0; e < experts && used > 0; e++) {
      dp[first + e] *= experts / ((double) used * used * settings.auxiliaryChoices());
      loss += dp[first + e] * sums[e];
    }
    return loss;
  }

  private static double sum(float[] values, int from, int count) {
    double sum = 0;
    for (int i = from; i < from + count; i++) {
      sum += values[i];
    }
    return sum;
  }

  /**
   * Through {@code p = score / sum(score)}: {@code dp - sum(dp p)} by the logarithm of a score,
   * times p, and for a sigmoid the rest of its derivative. A row of padding has no scores.
   */
  private static Tensor dlogits(
      Pass pass, Score score, Tensor tensor, long length, double[] dp, double factor) {
    float[] scores = tensor.toFloats();
    Tensor dlogits = pass.scope().zeros(DType.FLOAT32, tensor.shape());
    int experts = Math.toIntExact(tensor.size(1));
    for (int row = 0; row < scores.length; row += experts) {
      double total = sum(scores, row, experts);
      int of = Math.toIntExact(row / (length * experts)) * experts;
      double mean = 0;
      for (int e = 0; e < experts && total > 0; e++) {
        mean += dp[of + e] * scores[row + e] / total;
      }
      for (int e = 0; e < experts && total > 0; e++) {
        double s = scores[row + e];
        double dlog = factor * (dp[of + e] - mean) * s / total;
        dlogits.setFloat(row + e, (float) (score == Score.SOFTMAX ? dlog : dlog * (1 - s)));
      }
    }
    return dlogits;
  }
}
