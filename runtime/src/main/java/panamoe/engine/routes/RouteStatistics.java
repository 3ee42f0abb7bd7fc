package panamoe.engine.routes;

import java.util.Arrays;
import java.util.List;

/**
 * How often each expert was chosen. Immutable.
 *
 * @param layers the model's MoE layers, in order
 */
public record RouteStatistics(List<Layer> layers) {
  /** For a model without MoE layers. */
  public static final RouteStatistics NONE = new RouteStatistics(List.of());

  /**
   * The counts of one MoE layer.
   *
   * @param layer its index among all layers, from 0
   * @param experts E
   * @param topK K, experts per row
   * @param tokens [E], rows that chose each expert, before dropping: K times the rows in all, less
   *     where some requests limited K
   * @param weight [E], mean combine weight of each expert's rows; 0 for an unused expert
   * @param kept mean part of the gate's weight that {@link Routing#topK} left; 1 without a limit
   */
  public record Layer(
      int layer, int experts, int topK, long[] tokens, double[] weight, double kept) {
    /** The total number of routes. */
    public long routes() {
      return Arrays.stream(tokens).sum();
    }

    /** Entropy of the distribution of routes over experts, in bits; 0 without routes. */
    public double entropy() {
      double routes = routes();
      double entropy = 0;
      for (long count : tokens) {
        entropy -= count == 0 ? 0 : count / routes * Math.log(count / routes) / Math.log(2);
      }
      return entropy;
    }

    /** Routes of the most chosen expert divided by the mean; 0 without routes. */
    public double imbalance() {
      long routes = routes();
      long most = Arrays.stream(tokens).max().orElse(0);
      return routes == 0 ? 0 : (double) most * experts / routes;
    }
  }
}
