package panamoe.op;

import panamoe.backend.Routes;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Is told of every gate's decision during a pass, and of what experts get, while the tensors are
 * alive: for statistics and reports.
 */
public interface RouteObserver {
  RouteObserver NONE = (layer, routes) -> {};

  /** Where the next gate writes its decision: in {@code scope}, as far as the observer minds. */
  default Routes tables(TensorScope scope, long tokens, int experts, int topK) {
    return Routes.allocate(scope, tokens, experts, topK);
  }

  /**
   * Is told, where a pass is {@link Pass#limitedTo} fewer experts, before the gate decides.
   *
   * @param routes that the gate would choose, none dropped; in the pass's memory
   */
  default void unlimited(Routes routes) {}

  /**
   * @param layer the layer's index in its model, from 0
   * @param routes readable during the call only; counts and losses as long as the pass has memory
   */
  void observe(int layer, Routes routes);

  /**
   * Is told, before experts' matrices are multiplied by their rows.
   *
   * @param weights [E, N, K], the value of a parameter
   * @param rows [R, K], grouped by expert
   * @param offsets INT32 [E + 1], where each expert's rows begin
   */
  default void multiplied(Tensor weights, Tensor rows, Tensor offsets) {}
}
