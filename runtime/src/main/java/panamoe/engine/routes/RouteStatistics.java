package panamoe.engine.routes;

import java.util.Arrays;
import java.util.List;

/**
 * Which experts rows chose. Immutable.
 *
 * @param layers the model's MoE layers, in order
 */
public record RouteStatistics(List<Layer> layers) {
  /** Of a model without MoE layers. */
  public static final RouteStatistics NONE = new RouteStatistics(List.of());

  /**
   * An MoE layer.
   *
   * @param layer its index among all layers, from 0
   * @param experts E
   * @param topK K, experts that a row was sent to
   * @param tokens [E], rows that chose each expert, before dropping: K times the rows in all, or
   *     less where some texts limited K
   * @param weight [E], mean combine weight of each expert's rows; 0 where it has none
   * @param kept mean part of the weight of the gate's choices that {@link Routing#topK} left; 1
   *     without it
   */
  public record Layer(
      int layer, int experts, int topK, long[] tokens, double[] weight, double kept) {
    /** All routes. */
    public long routes() {
      return Arrays.stream(tokens).sum();
    }

    /** Of the distribution of routes over experts, in bits; 0 without routes. */
    public double entropy() {
      double routes = routes();
      double entropy = 0;
      for (long count : tokens) {
        entropy -= count == 0 ? 0 : count / routes * Math.log(count / routes) / Math.log(2);
      }
      return entropy;
    }

    /** The most chosen expert's routes over the mean; 0 without routes. */
    public double imbalance() {
      long routes = routes();
      long most = Arrays.stream(tokens).max().orElse(0);
      return routes == 0 ? 0 : (double) most * experts / routes;
    }
  }
}
