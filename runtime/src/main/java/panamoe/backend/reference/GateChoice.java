package panamoe.backend.reference;

import java.util.Arrays;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Score;

/**
 * The experts that each token chooses, best first.
 *
 * <p>Keys are rounded to float32 before they are compared, so that ties are the float32 kernels'.
 * Ties go to the lowest expert.
 */
final class GateChoice {
  /** The key of an expert that cannot be chosen (again). Other keys are finite. */
  private static final float CLOSED = Float.NEGATIVE_INFINITY;

  private GateChoice() {}

  /** Scores [S][E] of the logits; padding has zeros. */
  static float[][] scores(Score score, GateInput input) {
    float[][] scores = new float[input.tokens()][input.experts()];
    for (int s = 0; s < scores.length; s++) {
      if (input.isUsed(s)) {
        double[] exact = GateScores.of(score, input.logits()[s]);
        for (int e = 0; e < exact.length; e++) {
          scores[s][e] = (float) exact[e];
        }
      }
    }
    return scores;
  }

  /** Chosen experts [S][K]; -1 for padding. */
  static int[][] choose(GateSettings settings, GateInput input, float[][] scores) {
    int[][] choice = new int[input.tokens()][settings.topK()];
    for (int s = 0; s < choice.length; s++) {
      if (!input.isUsed(s)) {
        Arrays.fill(choice[s], -1);
        continue;
      }
      float[] keys = scores[s].clone();
      for (int e = 0; input.bias() != null && e < keys.length; e++) {
        keys[e] += (float) input.bias()[e];
      }
      boolean[] open = openGroups(settings, keys);
      for (int k = 0; k < settings.topK(); k++) {
        if (input.noise() != null && k == settings.noiseFirstChoice()) {
          keys = noisyLogits(input.logits()[s], input.noise()[s]);
        }
        choice[s][k] = best(keys, open, Arrays.copyOf(choice[s], k));
      }
    }
    return choice;
  }

  /** From the first noisy choice on, logits plus noise are compared instead of scores. */
  private static float[] noisyLogits(double[] logits, double[] noise) {
    float[] keys = new float[logits.length];
    for (int e = 0; e < keys.length; e++) {
      float noisy = (float) logits[e] + (float) noise[e];
      keys[e] = Math.clamp(noisy, -Float.MAX_VALUE, Float.MAX_VALUE);
    }
    return keys;
  }

  private static int best(float[] keys, boolean[] openGroups, int[] taken) {
    int size = keys.length / openGroups.length;
    int best = -1;
    float bestKey = CLOSED;
    for (int e = 0; e < keys.length; e++) {
      int candidate = e;
      boolean free = openGroups[e / size] && Arrays.stream(taken).noneMatch(t -> t == candidate);
      if (free && keys[e] > bestKey) {
        best = e;
        bestKey = keys[e];
      }
    }
    return best;
  }

  /**
   * Group-limited choice (DeepSeek-V2): only experts of the groups with the best scores are open.
   */
  private static boolean[] openGroups(GateSettings settings, float[] keys) {
    int size = keys.length / settings.groups().count();
    float[] scores = new float[settings.groups().count()];
    for (int g = 0; g < scores.length; g++) {
      float[] sorted = Arrays.copyOfRange(keys, g * size, (g + 1) * size);
      Arrays.sort(sorted);
      boolean two = settings.groups().score() == GroupScore.TOP2_SUM && size > 1;
      scores[g] = two ? sorted[size - 1] + sorted[size - 2] : sorted[size - 1];
    }
    boolean[] open = new boolean[scores.length];
    for (int chosen = 0; chosen < settings.groups().chosen(); chosen++) {
      int best = -1;
      for (int g = 0; g < scores.length; g++) {
        if (!open[g] && (best < 0 || scores[g] > scores[best])) {
          best = g;
        }
      }
      open[best] = true;
    }
    return open;
  }
}
