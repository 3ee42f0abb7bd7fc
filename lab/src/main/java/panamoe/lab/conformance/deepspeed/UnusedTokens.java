package panamoe.lab.conformance.deepspeed;

import panamoe.lab.conformance.replay.GoldenFile;

/**
 * DeepSpeed's auxiliary loss {@code E * sum_e mean_s(score) * mean_s(chosen)} takes both means over
 * all S tokens, and unused ones have scores but choose nothing. Ours takes both over the U used
 * ones. These are the conversions.
 */
final class UnusedTokens {
  private UnusedTokens() {}

  /** Which tokens were used, or null where the case says nothing of it. */
  static boolean[] used(GoldenFile golden) {
    if (!golden.has("used_token")) {
      return null;
    }
    long[] recorded = golden.longs("used_token");
    boolean[] used = new boolean[recorded.length];
    for (int s = 0; s < used.length; s++) {
      used[s] = recorded[s] != 0;
    }
    return used;
  }

  /** U / S. */
  static double usedPart(boolean[] used) {
    int count = 0;
    for (boolean each : used) {
      count += each ? 1 : 0;
    }
    return (double) count / used.length;
  }
}
