package panamoe.engine;

import java.util.List;

/**
 * What is told of a text's routes.
 *
 * @param statistics whether the text ends with its {@link RouteStatistics}
 * @param tokens whether each token comes with the experts of the row that it was drawn from
 */
public record Routing(boolean statistics, boolean tokens) {
  /** Nothing is told. */
  public static final Routing UNTOLD = new Routing(false, false);

  /** Whether anything is told. */
  boolean told() {
    return statistics || tokens;
  }

  /**
   * @param layers the MoE layers of the model
   * @throws IllegalArgumentException if the model has none, and nothing to tell
   */
  void requireFits(List<RoutedLayer> layers) {
    if (layers.isEmpty() && told()) {
      throw new IllegalArgumentException(
          "the model has no MoE layers, so that there are no routes to tell of");
    }
  }
}
