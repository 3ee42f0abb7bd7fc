package panamoe.api;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Routes;

/**
 * What a gate did with this rank's tokens in one forward.
 *
 * @param layer of the model, from 0
 * @param tokensPerExpert [E], tokens routed to each expert, before dropping
 * @param dropped routes beyond the experts' capacity, which no expert saw
 * @param auxiliaryLoss the load balancing loss before its coefficient; 1 is perfect balance
 * @param zLoss the mean squared log-sum-exp of the router's logits, before its coefficient
 */
public record GateStatistics(
    int layer, List<Long> tokensPerExpert, long dropped, double auxiliaryLoss, double zLoss) {
  /** Copies the list. */
  public GateStatistics {
    tokensPerExpert = List.copyOf(tokensPerExpert);
  }

  static GateStatistics of(int layer, Routes routes) {
    List<Long> asked = new ArrayList<>();
    long total = 0;
    for (int count : routes.counts().toInts()) {
      asked.add((long) count);
      total += count;
    }
    int[] offsets = routes.offsets().toInts();
    return new GateStatistics(
        layer,
        asked,
        total - offsets[offsets.length - 1],
        routes.losses().getFloat(0),
        routes.losses().getFloat(1));
  }
}
