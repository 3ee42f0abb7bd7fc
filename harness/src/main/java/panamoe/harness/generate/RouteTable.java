package panamoe.harness.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.engine.routes.RouteStatistics;
import panamoe.io.Count;
import panamoe.io.Words;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Which experts the rows of a text chose, as a table for each MoE layer. */
public final class RouteTable {
  private static final int BAR = 40;

  private RouteTable() {}

  /** Lines that end with a line break; bars are to the scale of the layer's most chosen expert. */
  static String of(RouteStatistics routes) {
    StringBuilder table = new StringBuilder();
    for (RouteStatistics.Layer layer : routes.layers()) {
      table.append(
          Words.of(
              "layer %d: %s, %d for each token; entropy %.2f of %.2f bits%n",
              layer.layer(),
              Count.of(layer.experts(), "expert"),
              layer.topK(),
              layer.entropy(),
              Math.log(layer.experts()) / Math.log(2)));
      long most = Arrays.stream(layer.tokens()).max().orElse(0);
      for (int expert = 0; expert < layer.experts(); expert++) {
        long tokens = layer.tokens()[expert];
        String bar = "#".repeat(Math.toIntExact(BAR * tokens / Math.max(1, most)));
        table.append(
            Words.of(
                "%6d %8d %5.1f %%  weight %.3f%s%n",
                expert,
                tokens,
                100.0 * tokens / Math.max(1, layer.routes()),
                layer.weight()[expert],
                bar.isEmpty() ? "" : "  " + bar));
      }
    }
    return table.toString();
  }

  /** An object for each layer, as answers have it. */
  public static List<ObjectNode> json(RouteStatistics routes) {
    List<ObjectNode> layers = new ArrayList<>();
    for (RouteStatistics.Layer layer : routes.layers()) {
      ObjectNode one = JsonNodeFactory.instance.objectNode();
      one.put("layer", layer.layer()).put("experts", layer.experts()).put("top_k", layer.topK());
      Arrays.stream(layer.tokens()).forEach(one.putArray("tokens")::add);
      Arrays.stream(layer.weight()).forEach(one.putArray("weight")::add);
      layers.add(one.put("entropy", layer.entropy()).put("kept", layer.kept()));
    }
    return layers;
  }
}
