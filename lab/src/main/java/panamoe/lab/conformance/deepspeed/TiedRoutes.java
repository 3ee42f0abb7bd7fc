package panamoe.lab.conformance.deepspeed;

import java.util.Arrays;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;

/**
 * Compares routes of a case in which the peer chose among equals: experts of one score ({@code
 * argmax_ties}), or routes of which an expert may keep any ({@code survivors_undetermined}). What
 * does not depend on its choice is compared: the scores and weights of a token's experts, the range
 * of each expert's count, and how many routes each expert keeps.
 */
final class TiedRoutes {
  /**
   * Scores closer than this, relative to each other, count as equal; so do those that underflow.
   */
  private static final float RELATIVE = 1e-5f;

  private static final float UNDERFLOW = Float.MIN_NORMAL;

  private final Replay replay;
  private final RouteTable ours;
  private final boolean[] used;
  private final boolean openChoice;
  private final long[] recorded; // experts [S, K], -1 where dropped
  private final float[] gates; // [S, K]
  private final float[] worst; // the K-th best score of each token [S]

  /**
   * @param openChoice whether experts of equal score may stand for each other; if not, only who
   *     stays is open
   */
  TiedRoutes(Replay replay, RouteTable ours, boolean[] used, boolean openChoice) {
    GoldenFile golden = replay.golden();
    int topK = ours.topK();
    int tokens = ours.tokens();
    this.replay = replay;
    this.ours = ours;
    this.used = used;
    this.openChoice = openChoice;
    this.recorded = Layouts.transposed(golden.longs("route_expert"), topK, tokens);
    this.gates = Axes.of(topK, tokens).as(1, 0).ordered(golden.floats("route_gate"));
    this.worst = new float[tokens];
    for (int s = 0; s < tokens; s++) {
      float[] scores =
          Arrays.copyOfRange(ours.scores(), s * ours.experts(), (s + 1) * ours.experts());
      Arrays.sort(scores);
      worst[s] = scores[scores.length - topK];
    }
  }

  /**
   * @param capacity routes that an expert of ours keeps at most
   */
  void compare(long capacity) {
    compareChoices();
    compareCounts(capacity);
  }

  /** Tokens whose choice has no tie and whose routes were all kept by the peer and by ours. */
  boolean[] settled() {
    boolean[] settled = new boolean[ours.tokens()];
    for (int s = 0; s < settled.length; s++) {
      int candidates = 0;
      for (int e = 0; e < ours.experts(); e++) {
        candidates += mayChoose(s, e) ? 1 : 0;
      }
      settled[s] =
          candidates == ours.topK() && isWhole(recorded, s) && isWhole(ours.routes().expert(), s);
    }
    return settled;
  }

  /** Each token's chosen scores and its weights, both in the order of their size. */
  private void compareChoices() {
    int topK = ours.topK();
    float[] expectedScores = new float[recorded.length];
    float[] actualScores = new float[recorded.length];
    float[] expectedWeights = new float[recorded.length];
    float[] actualWeights = new float[recorded.length];
    for (int s = 0; s < ours.tokens(); s++) {
      for (int route = s * topK; route < (s + 1) * topK; route++) {
        replay.require(
            recorded[route] < 0 || mayChoose(s, (int) recorded[route]),
            "token " + s + " prefers other experts to the recorded " + recorded[route]);
      }
      if (isWhole(recorded, s)) {
        sortedScores(recorded, s, expectedScores);
        sortedScores(ours.routes().choice(), s, actualScores);
        if (isWhole(ours.routes().expert(), s)) {
          sorted(gates, s, expectedWeights);
          sorted(ours.routes().weight(), s, actualWeights);
        }
      }
    }
    replay.close("scores of route_expert", expectedScores, actualScores);
    replay.close("route_gate by size", expectedWeights, actualWeights);
  }

  /**
   * An expert is asked for by all tokens that prefer it, and by some of those that may choose it.
   */
  private void compareCounts(long capacity) {
    long[] counts = replay.golden().longs("exp_counts");
    long[] expectedKept = new long[ours.experts()];
    for (long expert : recorded) {
      if (expert >= 0) {
        expectedKept[(int) expert]++;
      }
    }
    for (int e = 0; e < ours.experts(); e++) {
      long least = 0;
      long most = 0;
      for (int s = 0; s < ours.tokens(); s++) {
        least += mustChoose(s, e) ? 1 : 0;
        most += mayChoose(s, e) ? 1 : 0;
      }
      replay.require(
          least <= counts[e] && counts[e] <= most,
          "exp_counts[%s] is recorded as %s, but %s to %s tokens ask for this expert",
          e,
          counts[e],
          least,
          most);
      if (counts[e] != ours.counts()[e]) {
        expectedKept[e] = Math.min(ours.counts()[e], capacity);
      }
    }
    replay.exact(
        "sum of exp_counts", Arrays.stream(counts).sum(), Arrays.stream(ours.counts()).sum());
    replay.exact("routes kept by each expert", expectedKept, ours.kept());
  }

  private boolean mayChoose(int s, int e) {
    return openChoice
        ? isUsed(s) && score(s, e) >= worst[s] * (1 - RELATIVE) - UNDERFLOW
        : isChosen(s, e);
  }

  private boolean mustChoose(int s, int e) {
    return openChoice
        ? isUsed(s) && score(s, e) > worst[s] * (1 + RELATIVE) + UNDERFLOW
        : isChosen(s, e);
  }

  private boolean isChosen(int s, int e) {
    for (int route = s * ours.topK(); isUsed(s) && route < (s + 1) * ours.topK(); route++) {
      if (ours.routes().choice()[route] == e) {
        return true;
      }
    }
    return false;
  }

  private boolean isUsed(int s) {
    return used == null || used[s];
  }

  private float score(int s, int e) {
    return ours.scores()[s * ours.experts() + e];
  }

  private boolean isWhole(long[] experts, int s) {
    for (int route = s * ours.topK(); route < (s + 1) * ours.topK(); route++) {
      if (experts[route] < 0) {
        return false;
      }
    }
    return true;
  }

  private void sortedScores(long[] experts, int s, float[] to) {
    for (int route = s * ours.topK(); route < (s + 1) * ours.topK(); route++) {
      to[route] = score(s, (int) experts[route]);
    }
    sorted(to, s, to);
  }

  private void sorted(float[] from, int s, float[] to) {
    int begin = s * ours.topK();
    System.arraycopy(from, begin, to, begin, ours.topK());
    Arrays.sort(to, begin, begin + ours.topK());
  }
}
