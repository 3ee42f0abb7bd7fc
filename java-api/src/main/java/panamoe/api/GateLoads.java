package panamoe.api;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;

/** Collects the gates' statistics of one forward. */
final class GateLoads implements RouteObserver {
  private final Map<Integer, Routes> decided = new LinkedHashMap<>();

  @Override
  public void observe(int layer, Routes routes) {
    decided.put(layer, routes);
  }

  /** Reads them after the forward, before its memory is freed. */
  List<GateStatistics> read() {
    return decided.entrySet().stream()
        .map(gate -> GateStatistics.of(gate.getKey(), gate.getValue()))
        .toList();
  }
}
