package panamoe.op;

import panamoe.backend.Routes;

/**
 * Is told of every gate's decision during a pass, while the tables are alive: for statistics and
 * reports.
 */
public interface RouteObserver {
  RouteObserver NONE = (layer, routes) -> {};

  /**
   * @param layer the layer's index in its model, from 0
   * @param routes readable during the call only
   */
  void observe(int layer, Routes routes);
}
