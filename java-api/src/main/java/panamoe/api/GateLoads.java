package panamoe.api;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;

/** The gates' loads and losses in one forward. */
final class GateLoads implements RouteObserver {
  private static final long[] DENSE = {};

  private final Map<Integer, long[]> tokensPerExpert = new HashMap<>();
  private double auxiliaryLoss;

  @Override
  public void observe(int layer, Routes routes) {
    tokensPerExpert.put(layer, Arrays.stream(routes.counts().toInts()).asLongStream().toArray());
    auxiliaryLoss += routes.losses().getFloat(0);
  }

  /**
   * The number of tokens routed to each expert of a layer, before dropping; empty for a dense
   * layer.
   */
  long[] tokensPerExpert(int layer) {
    return tokensPerExpert.getOrDefault(layer, DENSE).clone();
  }

  /** The sum of the gates' load balancing losses, before their coefficient. */
  double auxiliaryLoss() {
    return auxiliaryLoss;
  }
}
