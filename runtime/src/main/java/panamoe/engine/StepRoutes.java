package panamoe.engine;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;

/** What the gates of a step decided; readable while the step's memory is there. */
final class StepRoutes implements RouteObserver {
  private final List<Routes> layers = new ArrayList<>();

  @Override
  public void observe(int layer, Routes routes) {
    layers.add(routes);
  }

  /** The routes of a row, by MoE layer. */
  TokenRoutes of(int row) {
    int[][] experts = new int[layers.size()][];
    float[][] weights = new float[layers.size()][];
    for (int layer = 0; layer < experts.length; layer++) {
      Routes routes = layers.get(layer);
      int topK = routes.topK();
      experts[layer] = new int[topK];
      weights[layer] = new float[topK];
      for (int k = 0; k < topK; k++) {
        long place = (long) row * topK + k;
        experts[layer][k] = routes.expert().getInt(place);
        weights[layer][k] = routes.weight().getFloat(place);
      }
    }
    return new TokenRoutes(experts, weights);
  }

  /** Adds how many routes each expert got to {@code counts}, by MoE layer. */
  void addTo(long[][] counts) {
    for (int layer = 0; layer < counts.length; layer++) {
      Routes routes = layers.get(layer);
      for (int expert = 0; expert < counts[layer].length; expert++) {
        counts[layer][expert] += routes.counts().getInt(expert);
      }
    }
  }
}
