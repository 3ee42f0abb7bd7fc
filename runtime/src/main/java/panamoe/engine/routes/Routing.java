package panamoe.engine.routes;

import java.util.List;
import java.util.stream.IntStream;

/**
 * How a text's rows are routed, and what is told of it.
 *
 * @param statistics whether the text ends with its {@link RouteStatistics}
 * @param tokens whether each token comes with the experts of the row that it was drawn from
 * @param topK experts of a row: a number for each MoE layer, or one for all; empty: as many as each
 *     gate chooses. The best of a gate's choices, weighted as if there were no others
 */
public record Routing(boolean statistics, boolean tokens, List<Integer> topK) {
  /** The model's own, of which nothing is told. */
  public static final Routing USUAL = new Routing(false, false, List.of());

  public Routing {
    topK = List.copyOf(topK);
  }

  /** Whether anything is told. */
  public boolean told() {
    return statistics || tokens;
  }

  /**
   * The layers as this text uses them.
   *
   * @param layers the MoE layers of the model
   * @throws RoutingException if there are no MoE layers, or top-k does not fit them
   */
  public List<RoutedLayer> of(List<RoutedLayer> layers) {
    if (layers.isEmpty() && !equals(USUAL)) {
      throw new RoutingException(
          "the model has no MoE layers: there are no routes to tell of, and no moe.top_k to set");
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
