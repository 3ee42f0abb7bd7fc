package panamoe.backend.reference;

import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;

/** Formulas that the gate's forward and backward share. */
final class GateWeights {
  private GateWeights() {}

  /**
   * The denominator of a token's scores: {@code max(offset + sum of the counted scores, epsilon)},
   * or 1.
   */
  static double denominator(GateSettings settings, float[] scores, int[] choice, int[] expert) {
    return settings.weighting().normalization() == Normalization.RAW
        ? 1
        : Math.max(sum(settings, scores, choice, expert), settings.weighting().epsilon());
  }

  /** The sum before the bound; the routes that count are the chosen or the surviving. */
  static double sum(GateSettings settings, float[] scores, int[] choice, int[] expert) {
    double sum = settings.weighting().offset();
    for (int e : counted(settings, choice, expert)) {
      sum += e < 0 ? 0 : scores[e];
    }
    return sum;
  }

  static int[] counted(GateSettings settings, int[] choice, int[] expert) {
    return settings.weighting().normalization() == Normalization.CHOSEN ? choice : expert;
  }

  /**
   * For each expert, the share of the used tokens that chose it [E], over the choices that the
   * auxiliary loss counts.
   */
  static double[] meanChosen(GateSettings settings, GateInput input, int[][] choice) {
    double[] mean = new double[input.experts()];
    for (int[] chosen : choice) {
      for (int k = 0; k < settings.auxiliaryChoices(); k++) {
        if (chosen[k] >= 0) {
          mean[chosen[k]] += 1.0 / input.usedTokens();
        }
      }
    }
    return mean;
  }
}
