package panamoe.harness.plan;

import panamoe.backend.Routes;
import panamoe.op.RouteObserver;

/** Assigns the tokens that a gate routes to data ranks, filling one rank after the other. */
final class RoutedTokens implements RouteObserver {
  private final int layer;
  private final long each;
  private final long[][] rows;
  private long seen;

  RoutedTokens(SimulatedStep step) {
    this.layer = step.layer().number();
    this.each = step.tokens();
    this.rows = new long[step.topology().dataDegree()][step.layer().experts()];
  }

  @Override
  public void observe(int observed, Routes routes) {
    if (observed != layer) {
      return;
    }
    int[] chosen = routes.choice().toInts();
    int topK = routes.topK();
    for (int token = 0; token < routes.tokens() && !complete(); token++, seen++) {
      for (int k = 0; k < topK; k++) {
        int expert = chosen[token * topK + k];
        if (expert >= 0) {
          rows[Math.toIntExact(seen / each)][expert]++;
        }
      }
    }
  }

  /** True if every data rank has all its tokens. */
  boolean complete() {
    return seen == each * rows.length;
  }

  long[][] rows() {
    return rows;
  }
}
