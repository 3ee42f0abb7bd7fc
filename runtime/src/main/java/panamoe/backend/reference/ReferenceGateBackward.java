package panamoe.backend.reference;

import java.util.stream.IntStream;
import panamoe.backend.BalanceKernels;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** The gate's backward. The choice, the counts, the noise and the bias are constants. */
interface ReferenceGateBackward extends GateKernels, ReferenceContext {

  @Override
  default void gateBackward(
      GateSettings settings,
      Inputs inputs,
      Routes routes,
      Tensor dweight,
      LossGradients losses,
      Tensor dlogits) {
    Tensor logits = inputs.logits();
    Tensor used = inputs.used();
    launch(
        () -> {
          ReferenceGate.checkSettings(settings, logits);
          long tokens = logits.size(0);
          long experts = logits.size(1);
          Check.optional("used", used, Kind.UINT8, tokens);
          Check.tensor("scores", routes.scores(), Kind.FLOAT32, tokens, experts);
          Check.tensor("expert", routes.expert(), Kind.INT32, tokens, settings.topK());
          Check.tensor("choice", routes.choice(), Kind.INT32, tokens, settings.topK());
          Check.tensor("dweight", dweight, Kind.FLOAT32, tokens, settings.topK());
          Check.tensor("dlogits", dlogits, Kind.FLOAT32, tokens, experts);
          BalanceKernels.Sums batch = losses.batch();
          if (batch != null) {
            Check.tensor("batch_used", batch.used(), Kind.INT32, 1);
            Check.tensor("batch_chosen", batch.chosen(), Kind.INT32, 1, experts);
          }
          Check.disjoint("logits", logits, "dlogits", dlogits);
          Check.disjoint("scores", routes.scores(), "dlogits", dlogits);
          Check.range("choice", routes.choice(), -1, experts);
          checkKept(routes);

          GateInput input = GateInput.read(new Inputs(logits, used, null, null, null));
          int[][] choice = readTable(routes.choice());
          int[][] expert = readTable(routes.expert());
          double[][] dweights = Values.readRows(dweight);
          double[][] gradient = Values.zeroRows(dlogits);
          double tokenCount = batch == null ? input.usedTokens() : batch.used().getInt(0);
          double[] meanChosen =
              batch == null
                  ? GateWeights.meanChosen(settings, input, choice)
                  : IntStream.of(batch.chosen().toInts())
                      .mapToDouble(n -> n / tokenCount)
                      .toArray();
          for (int s = 0; s < gradient.length; s++) {
            if (input.isUsed(s)) {
              float[] scores = routes.scores().rows(s, s + 1).toFloats();
              double[] dscores =
                  weightsBackward(settings, scores, choice[s], expert[s], dweights[s]);
              double auxiliary =
                  losses.dauxiliary() * experts / (tokenCount * settings.auxiliaryChoices());
              Vectors.addScaled(dscores, auxiliary, meanChosen);
              gradient[s] = scoresBackward(settings.score(), scores, dscores);
              double[] row = input.logits()[s];
              Vectors.addScaled(
                  gradient[s],
                  losses.dz() * 2 * Vectors.logSumExp(row) / tokenCount,
                  Vectors.softmax(row));
            }
          }
          Values.write(gradient, dlogits);
        });
  }

  /**
   * With {@code weight = scale * score / D}, D the bounded sum: a kept route's score gets {@code
   * scale * dweight / D}, and every counted score {@code -scale * sum(dweight * score) / D^2}
   * unless D is at its bound.
   */
  private static double[] weightsBackward(
      GateSettings settings, float[] scores, int[] choice, int[] expert, double[] dweight) {
    double denominator = GateWeights.denominator(settings, scores, choice, expert);
    double[] dscores = new double[scores.length];
    if (denominator == 0) {
      return dscores;
    }
    double product = 0;
    for (int k = 0; k < expert.length; k++) {
      if (expert[k] >= 0) {
        dscores[expert[k]] += settings.weighting().scale() * dweight[k] / denominator;
        product += dweight[k] * scores[expert[k]];
      }
    }
    double sum = GateWeights.sum(settings, scores, choice, expert);
    if (settings.weighting().normalization() != Normalization.RAW
        && sum >= settings.weighting().epsilon()) {
      for (int e : GateWeights.counted(settings, choice, expert)) {
        if (e >= 0) {
          dscores[e] -= settings.weighting().scale() * product / (denominator * denominator);
        }
      }
    }
    return dscores;
  }

  private static double[] scoresBackward(Score score, float[] scores, double[] dscores) {
    double mean = 0;
    for (int e = 0; e < scores.length && score.isShare(); e++) {
      mean += scores[e] * dscores[e];
    }
    double[] dlogits = new double[scores.length];
    for (int e = 0; e < scores.length; e++) {
      dlogits[e] = scores[e] * (dscores[e] - mean) * GateScores.logSlope(score, scores[e]);
    }
    return dlogits;
  }

  /** A route was kept where it was chosen, or dropped. */
  private static void checkKept(Routes routes) {
    for (long i = 0; i < routes.expert().count(); i++) {
      int kept = routes.expert().getInt(i);
      int chosen = routes.choice().getInt(i);
      Check.require(
          kept == -1 || kept == chosen,
          () -> "an element of expert is " + kept + ", expected -1 or the choice " + chosen);
    }
  }

  private static int[][] readTable(Tensor table) {
    int choices = (int) table.size(1);
    int[][] rows = new int[(int) table.size(0)][choices];
    for (int i = 0; i < rows.length * choices; i++) {
      rows[i / choices][i % choices] = table.getInt(i);
    }
    return rows;
  }
}
