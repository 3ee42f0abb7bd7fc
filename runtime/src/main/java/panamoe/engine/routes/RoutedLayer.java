package panamoe.engine.routes;

import java.util.ArrayList;
import java.util.List;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/**
 * An MoE layer whose routes are reported.
 *
 * @param layer its index among all layers, from 0
 * @param experts E
 * @param topK K, experts per row
 */
public record RoutedLayer(int layer, int experts, int topK) {
  /** The MoE layers of a model, in order. */
  public static List<RoutedLayer> of(ModelConfig config) {
    List<RoutedLayer> layers = new ArrayList<>();
    for (int layer = 0; layer < config.layers(); layer++) {
      if (config.blocks().get(layer).feedForward() instanceof MoeConfig moe) {
        layers.add(new RoutedLayer(layer, moe.experts(), moe.gate().topK()));
      }
    }
    return List.copyOf(layers);
  }

  /**
   * This layer with {@code fewer} experts per row.
   *
   * @throws IllegalArgumentException if it is not 1 to topK
   */
  RoutedLayer limitedTo(int fewer) {
    if (fewer < 1 || fewer > topK) {
      throw new RoutingException(
          "moe.top_k is " + fewer + " for layer " + layer + ", expected 1 to " + topK);
    }
    return new RoutedLayer(layer, experts, fewer);
  }
}
