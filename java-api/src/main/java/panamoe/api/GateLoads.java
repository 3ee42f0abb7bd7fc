package panamoe.api;

import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;

/** The gates' loads and losses in one forward. */
final class GateLoads implements RouteObserver {
  private static final long[] DENSE = {};

  // By layer, until they are read: a forward waits for no gate.
  private final Map<Integer, Routes> decided = new LinkedHashMap<>();
  private final Map<Integer, long[]> tokensPerExpert = new HashMap<>();
  private double auxiliaryLoss;

  @Override
  public void observe(int layer, Routes routes) {
    decided.put(layer, routes);
  }

  /** Reads what the gates decided, before the pass's memory is freed. */
  void read() {
    decided.forEach(
        (layer, routes) -> {
          int[] counts = routes.counts().toInts();
          tokensPerExpert.put(layer, Arrays.stream(counts).asLongStream().toArray());
          auxiliaryLoss += routes.losses().getFloat(0);
        });
    decided.clear();
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
