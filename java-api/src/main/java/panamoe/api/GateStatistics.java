package panamoe.api;

import java.util.Arrays;
import java.util.List;
import panamoe.backend.Routes;

/**
 * A gate's decisions for this rank's tokens in one forward.
 *
 * @param layer of the model, from 0
 * @param tokensPerExpert [E], tokens routed to each expert, before dropping
 * @param dropped routes beyond the experts' capacity
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
    long[] asked = Arrays.stream(routes.counts().toInts()).asLongStream().toArray();
    int[] offsets = routes.offsets().toInts();
    return new GateStatistics(
        layer,
        Arrays.stream(asked).boxed().toList(),
        Arrays.stream(asked).sum() - offsets[offsets.length - 1],
        routes.losses().getFloat(0),
        routes.losses().getFloat(1));
  }
}
