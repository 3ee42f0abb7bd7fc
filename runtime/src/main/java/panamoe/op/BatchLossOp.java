package panamoe.op;

import java.util.Arrays;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Router logits to routes, with the losses of a batch of which this pass sees a part. The losses
 * are made of means over the used tokens of all ranks, so the ranks' own losses do not add up to
 * them: sums are exchanged first (docs/gating.md, Losses).
 */
public final class BatchLossOp {
  private BatchLossOp() {}

  /**
   * As {@link GateOp#forward}, with the losses of the whole batch in {@code Routes.losses}.
   *
   * @param inputs of this part
   * @param auxiliaryCoefficient derivative of the objective by the batch's auxiliary loss
   * @param zCoefficient derivative of the objective by the batch's z loss
   */
  public static Routes forward(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      float auxiliaryCoefficient,
      float zCoefficient) {
    Routes routes = GateOp.choose(pass, settings, inputs);
    pass.backend().synchronize();
    Sums mine = Sums.of(settings, routes);
    Sums sums = mine.over(pass);
    routes.losses().set((float) sums.auxiliaryLoss(settings), (float) sums.zLoss());
    // The kernel's z loss is a mean over this part's tokens, of which another may have more.
    float zOfPart = sums.tokens == 0 ? 0 : (float) (zCoefficient * mine.tokens / sums.tokens);
    GateOp.record(pass, settings, inputs, routes, 0, zOfPart);
    if (pass.recording() && auxiliaryCoefficient != 0) {
      double[] dscore = sums.auxiliaryGradient(settings, auxiliaryCoefficient);
      pass.tape()
          .record(
              () ->
                  pass.tape()
                      .addGradient(
                          inputs.logits(),
                          dlogits(pass, settings.score(), routes.scores(), dscore)));
    }
    return routes;
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
