package panamoe.api;

import java.util.HashMap;
import java.util.Map;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;

/** What the gates of one forward decided. */
final class GateLoads implements RouteObserver {
  private static final long[] DENSE = {};

  private final Map<Integer, long[]> tokensPerExpert = new HashMap<>();
  private double auxiliaryLoss;

  @Override
  public void observe(int layer, Routes routes) {
    long[] counts = new long[routes.experts()];
    for (int e = 0; e < counts.length; e++) {
      counts[e] = routes.counts().getInt(e);
    }
    tokensPerExpert.put(layer, counts);
    auxiliaryLoss += routes.losses().getFloat(0);
  }

  /**
   * Tokens that asked for each expert of a layer, before any were dropped; empty for a dense layer.
   */
  long[] tokensPerExpert(int layer) {
    return tokensPerExpert.getOrDefault(layer, DENSE).clone();
  }

  /** The load balancing losses of all gates together, before their coefficient. */
  double auxiliaryLoss() {
    return auxiliaryLoss;
  }
}
