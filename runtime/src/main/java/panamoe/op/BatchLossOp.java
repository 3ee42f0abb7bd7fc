package panamoe.op;

import java.util.Arrays;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A gate's losses over a batch of which this pass sees a part. The auxiliary loss is a product of
 * two means, so the ranks' own losses do not add up to it: the means are taken over all ranks'
 * tokens first (docs/gating.md, Losses).
 */
public final class BatchLossOp {
  private BatchLossOp() {}

  /**
   * Replaces {@code routes.losses()} by the whole batch's losses, and puts the gradient of the
   * auxiliary loss on the tape.
   *
   * @param logits FLOAT32 [S, E]
   * @param auxiliaryCoefficient derivative of the objective by the auxiliary loss
   */
  public static void forward(
      Pass pass, GateSettings settings, Tensor logits, Routes routes, float auxiliaryCoefficient) {
    pass.backend().synchronize();
    Sums sums = Sums.of(settings, routes).over(pass);
    routes.losses().set((float) sums.auxiliaryLoss(settings), (float) sums.zLoss());
    if (pass.recording() && auxiliaryCoefficient != 0) {
      double[] dscore = sums.auxiliaryGradient(settings, auxiliaryCoefficient);
      pass.tape()
          .record(
              () ->
                  pass.tape()
                      .addGradient(
                          logits, dlogits(pass, settings.score(), routes.scores(), dscore)));
    }
  }

  /**
   * Through the scores, whose gradient is the same for every token: {@code score (dscore -
   * sum(dscore score))}.
   */
  private static Tensor dlogits(Pass pass, Score score, Tensor scores, double[] dscore) {
    pass.backend().synchronize();
    Tensor dlogits = pass.allocate(DType.FLOAT32, scores.shape());
    int experts = dscore.length;
    for (long row = 0; row < scores.count(); row += experts) {
      double mean = 0;
      for (int e = 0; e < experts; e++) {
        mean += dscore[e] * scores.getFloat(row + e);
      }
      for (int e = 0; e < experts; e++) {
        double s = scores.getFloat(row + e);
        dlogits.setFloat(
            row + e,
            (float) (score == Score.SOFTMAX ? s * (dscore[e] - mean) : s * (1 - s) * dscore[e]));
      }
    }
    return dlogits;
  }

  /** What the losses are made of; each is a sum over tokens. */
  private record Sums(double tokens, double z, double[] scores, double[] chosen) {
    static Sums of(GateSettings settings, Routes routes) {
      int experts = routes.experts();
      double[] scores = new double[experts];
      for (long i = 0; i < routes.scores().count(); i++) {
        scores[(int) (i % experts)] += routes.scores().getFloat(i);
      }
      double[] chosen = new double[experts];
      long used = 0;
      int topK = routes.topK();
      for (long route = 0; route < routes.choice().count(); route++) {
        int choice = routes.choice().getInt(route);
        if (choice >= 0 && route % topK < settings.auxiliaryChoices()) {
          chosen[choice]++;
        }
        used += choice >= 0 && route % topK == 0 ? 1 : 0;
      }
      return new Sums(used, used * (double) routes.losses().getFloat(1), scores, chosen);
    }

    /** The sums over all parts of the pass's batch, in the order of the ranks. */
    Sums over(Pass pass) {
      int experts = scores.length;
      double[] mine = new double[2 + 2 * experts];
      mine[0] = tokens;
      mine[1] = z;
      System.arraycopy(scores, 0, mine, 2, experts);
      System.arraycopy(chosen, 0, mine, 2 + experts, experts);
      double[] all = new double[mine.length];
      long[] gathered =
          pass.batch()
              .allGather(Arrays.stream(mine).mapToLong(Double::doubleToRawLongBits).toArray());
      for (int i = 0; i < gathered.length; i++) {
        all[i % mine.length] += Double.longBitsToDouble(gathered[i]);
      }
      return new Sums(
          all[0],
          all[1],
          Arrays.copyOfRange(all, 2, 2 + experts),
          Arrays.copyOfRange(all, 2 + experts, all.length));
    }

    double auxiliaryLoss(GateSettings settings) {
      double sum = 0;
      for (int e = 0; e < scores.length; e++) {
        sum += scores[e] * chosen[e];
      }
      return tokens == 0
          ? 0
          : scores.length * sum / (tokens * tokens * settings.auxiliaryChoices());
    }

    double zLoss() {
      return tokens == 0 ? 0 : z / tokens;
    }

    /**
     * Derivative of the objective by a used token's scores; an unused token's scores are 0, which
     * stops it.
     */
    double[] auxiliaryGradient(GateSettings settings, float coefficient) {
      double factor =
          tokens == 0
              ? 0
              : coefficient * scores.length / (tokens * tokens * settings.auxiliaryChoices());
      return Arrays.stream(chosen).map(count -> factor * count).toArray();
    }
  }
}
