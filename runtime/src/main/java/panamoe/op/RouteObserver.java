package panamoe.op;

import panamoe.backend.Routes;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Gets every gate's decision and matrices' inputs during a pass, while the tensors are alive: for
 * statistics and reports.
 */
public interface RouteObserver {
  RouteObserver NONE = (layer, routes) -> {};

  /** The tables for the next gate's decision; by default in {@code scope}. */
  default Routes tables(TensorScope scope, long tokens, int experts, int topK) {
    return Routes.allocate(scope, tokens, experts, topK);
  }

  /**
   * Called before the gate decides, if a pass is {@link Pass#limitedTo} fewer experts.
   *
   * @param routes that the gate would choose without the limit and without dropping; in the pass's
   *     memory
   */
  default void unlimited(Routes routes) {}

  /**
   * @param layer the layer's index in its model, from 0
   * @param routes readable during the call only; counts and losses as long as the pass has memory
   */
  void observe(int layer, Routes routes);

  /**
   * Called before the experts' outputs are weighted and summed.
   *
   * @param layer the layer's index in its model, from 0
   * @param routes with the weights of the sum, 1 where the experts' inputs were weighted
   * @param outputs [R, M], the expert's row for a route at its offset plus the route's position
   */
  default void combined(int layer, Routes routes, Tensor outputs) {}

  /**
   * Called before experts' matrices are multiplied by their rows.
   *
   * @param weights [E, N, K], the value of a parameter
   * @param rows [R, K], grouped by expert
   * @param offsets INT32 [E + 1], where each expert's rows begin
   */
  default void multiplied(Tensor weights, Tensor rows, Tensor offsets) {}

  /**
   * Called before any other matrix is multiplied by rows.
   *
   * @param weight [N, K], the value of a parameter
   * @param rows [S, K]
   */
  default void multiplied(Tensor weight, Tensor rows) {}
}
