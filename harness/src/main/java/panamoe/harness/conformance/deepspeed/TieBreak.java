package panamoe.harness.conformance.deepspeed;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.RouteTable;

/**
 * Where scores are equal, the peer's {@code torch.topk} takes some expert and ours the lowest. The
 * peer's choice among equals is given to our gate as noise: just enough to lift a recorded expert
 * over an equal that was not recorded, never over a better one.
 */
final class TieBreak {
  private TieBreak() {}

  /**
   * Noise [S, E].
   *
   * @param ours the same logits without noise
   */
  static float[] noise(GoldenFile golden, float[] logits, RouteTable ours) {
    float[] noise = new float[logits.length];
    long[] recorded = Layouts.transposed(golden.longs("route_expert"), ours.topK(), ours.tokens());
    long[] counts = golden.longs("exp_counts");
    for (int s = 0; s < ours.tokens(); s++) {
      int row = s * ours.experts();
      boolean[] chosen = chosen(recorded, counts, ours, s);
      for (int e = 0; e < ours.experts(); e++) {
        if (chosen[e]) {
          noise[row + e] =
              lift(logits[row + e], highestEqual(logits, ours.scores(), row, e, chosen));
        }
      }
    }
    return noise;
  }

  /** The experts recorded for a token; those of its dropped routes are guessed from the counts. */
  private static boolean[] chosen(long[] recorded, long[] counts, RouteTable ours, int s) {
    boolean[] chosen = new boolean[ours.experts()];
    int missing = 0;
    for (int k = 0; k < ours.topK(); k++) {
      long expert = recorded[s * ours.topK() + k];
      if (expert >= 0) {
        chosen[(int) expert] = true;
      } else {
        missing++;
      }
    }
    float[] scores =
        Arrays.copyOfRange(ours.scores(), s * ours.experts(), (s + 1) * ours.experts());
    float[] sorted = scores.clone();
    Arrays.sort(sorted);
    float worstChosen = sorted[sorted.length - ours.topK()];
    IntStream.range(0, chosen.length)
        .boxed()
        .filter(e -> !chosen[e] && scores[e] >= worstChosen)
        .sorted(
            Comparator.comparingDouble((Integer e) -> -scores[e])
                .thenComparingLong(e -> -counts[e]))
        .limit(missing)
        .forEach(e -> chosen[e] = true);
    return chosen;
  }

  private static float highestEqual(
      float[] logits, float[] scores, int row, int expert, boolean[] chosen) {
    float highest = Float.NEGATIVE_INFINITY;
    for (int e = 0; e < chosen.length; e++) {
      if (!chosen[e] && scores[row + e] == scores[row + expert]) {
        highest = Math.max(highest, logits[row + e]);
      }
    }
    return highest;
  }

  private static float lift(float logit, float over) {
    if (logit > over) {
      return 0;
    }
    float noise = Math.nextUp(over) - logit;
    while (logit + noise <= over) {
      noise = Math.nextUp(noise);
    }
    return noise;
  }
}
