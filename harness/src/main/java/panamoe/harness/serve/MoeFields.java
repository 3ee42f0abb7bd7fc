package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.Routing;
import panamoe.harness.generate.RouteTable;
import tools.jackson.databind.node.ObjectNode;

/**
 * What an answer tells of a text's routes.
 *
 * @param layers null but in the end of a text that asks for statistics
 * @param tokenExperts for each token its expert in each MoE layer; null if not asked for
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record MoeFields(List<ObjectNode> layers, List<int[]> tokenExperts) {
  /** Of a whole text; null if nothing is asked for. */
  static MoeFields whole(Routing routing, StreamedText text) {
    return routing.statistics() || routing.tokens()
        ? new MoeFields(layers(text), experts(routing, text.drawn()))
        : null;
  }

  /** Of the tokens of a piece; null if not asked for. */
  static MoeFields piece(Routing routing, List<TextEvent.Drawn> drawn) {
    return routing.tokens() ? new MoeFields(null, experts(routing, drawn)) : null;
  }

  /** Of the end of a text that was told in pieces; null if not asked for. */
  static MoeFields end(StreamedText text) {
    return text.generation().routes() == null ? null : new MoeFields(layers(text), null);
  }

  private static List<ObjectNode> layers(StreamedText text) {
    RouteStatistics routes = text.generation().routes();
    return routes == null ? null : RouteTable.json(routes);
  }

  private static List<int[]> experts(Routing routing, List<TextEvent.Drawn> drawn) {
    return routing.tokens() ? drawn.stream().map(TextEvent.Drawn::experts).toList() : null;
  }
}
