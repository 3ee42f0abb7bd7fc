package panamoe.op;

import panamoe.backend.Routes;
import panamoe.tensor.TensorScope;

/**
 * Is told of every gate's decision during a pass, while the tables are alive: for statistics and
 * reports.
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
}
