package panamoe.engine.routes;

import java.util.List;
import java.util.stream.IntStream;

/**
 * Experts per row of a request, and which routes are reported.
 *
 * @param statistics whether the result has {@link RouteStatistics}
 * @param tokens whether each token comes with the experts of its row
 * @param topK experts per row: a number for each MoE layer, or one for all; empty for the gates'
 *     own K. The best of a gate's choices are kept and their weights normalised
 */
public record Routing(boolean statistics, boolean tokens, List<Integer> topK) {
  /** The model's own routing; no routes are reported. */
  public static final Routing USUAL = new Routing(false, false, List.of());

  public Routing {
    topK = List.copyOf(topK);
  }

  /** Whether any routes are reported. */
  public boolean reported() {
    return statistics || tokens;
  }

  /**
   * The layers with this request's top-k.
   *
   * @param layers the MoE layers of the model
   * @throws RoutingException if there are no MoE layers, or top-k does not fit them
   */
  public List<RoutedLayer> of(List<RoutedLayer> layers) {
    if (layers.isEmpty() && !equals(USUAL)) {
      throw new RoutingException(
          "the model has no MoE layers: there are no routes to report, and no moe.top_k to set");
    }
    if (topK.isEmpty()) {
      return layers;
    }
    if (topK.size() != 1 && topK.size() != layers.size()) {
      throw new RoutingException(
          "moe.top_k has %s numbers, expected one, or one for each of %s MoE layers",
          topK.size(), layers.size());
    }
    return IntStream.range(0, layers.size())
        .mapToObj(i -> layers.get(i).limitedTo(topK.get(topK.size() == 1 ? 0 : i)))
        .toList();
  }
}
