package panamoe.lab.conformance.deepspeed;

import java.util.Arrays;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;

/**
 * Compares a case with ties: experts of equal score ({@code argmax_ties}), or an undefined choice
 * of the routes that an expert keeps ({@code survivors_undetermined}). Compares only what does not
 * depend on the peer's choice: scores and weights of a token's experts, the range of each expert's
 * count, and the number of routes that each expert keeps.
 */
final class TiedRoutes {
  /** Scores that differ relatively by less than this, or underflow, count as equal. */
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
   * @param openChoice true if experts of equal score are interchangeable; false if only the kept
   *     routes are undefined
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
   * @param capacity largest number of routes that an expert keeps
   */
  void compare(long capacity) {
    compareChoices();
    compareCounts(capacity);
  }

  /** Flags of tokens without ties whose routes both the peer and ours kept. */
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

  /** Compares each token's chosen scores and weights, sorted by size. */
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
   * An expert's count is at least the tokens that prefer it and at most the tokens that may choose
   * it.
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
