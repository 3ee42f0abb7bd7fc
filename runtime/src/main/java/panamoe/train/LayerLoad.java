package panamoe.train;

import java.util.Arrays;

/**
 * The load of one MoE layer in one step.
 *
 * @param layer index in the model, from 0
 * @param counts routes to each expert, before dropping
 * @param dropped routes that exceeded the capacity
 * @param routerEntropy mean entropy of a token's distribution over experts, nats
 * @param auxiliaryLoss load balancing loss before its coefficient; 1 is perfect balance
 * @param zLoss mean squared log-sum-exp of the logits
 */
public record LayerLoad(
    int layer,
    long[] counts,
    long dropped,
    double routerEntropy,
    double auxiliaryLoss,
    double zLoss) {

  public int experts() {
    return counts.length;
  }

  public long routes() {
    return Arrays.stream(counts).sum();
  }

  /** A quantile of the experts' loads, in routes. */
  public long quantile(double quantile) {
    long[] sorted = counts.clone();
    Arrays.sort(sorted);
    int index = (int) Math.ceil(quantile * sorted.length) - 1;
    return sorted[Math.clamp(index, 0, sorted.length - 1)];
  }

  public double dropRate() {
    long routes = routes();
    return routes == 0 ? 0 : (double) dropped / routes;
  }

  /** The number of experts without a route. */
  public long deadExperts() {
    return Arrays.stream(counts).filter(count -> count == 0).count();
  }
}
