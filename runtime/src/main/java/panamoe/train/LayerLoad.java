package panamoe.train;

import java.util.Arrays;

/**
 * What one MoE layer's gate did in one step.
 *
 * @param layer index in the model, from 0
 * @param counts tokens each expert was asked for
 * @param dropped routes dropped for lack of capacity
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

  /** The load that a fraction {@code quantile} of the experts do not exceed, in tokens. */
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

  /** Experts that no token asked for. */
  public long deadExperts() {
    return Arrays.stream(counts).filter(count -> count == 0).count();
  }
}
