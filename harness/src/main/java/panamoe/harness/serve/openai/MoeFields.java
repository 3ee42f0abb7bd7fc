package panamoe.harness.serve.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.Routing;
import panamoe.harness.generate.RouteTable;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.StreamedChoice;
import tools.jackson.databind.node.ObjectNode;

/**
 * The routes in a response.
 *
 * @param layers statistics at the end of a choice that asks for them; null otherwise
 * @param tokenExperts for each token its expert in each MoE layer; null if not asked for
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record MoeFields(List<ObjectNode> layers, List<int[]> tokenExperts) {
  /** The routes of a whole choice; null if nothing is asked for. */
  static MoeFields whole(Routing routing, StreamedChoice text) {
    return routing.statistics() || routing.tokens()
        ? new MoeFields(layers(text), experts(routing, text.sampled()))
        : null;
  }

  /** The routes of a piece's tokens; null if not asked for. */
  static MoeFields piece(Routing routing, List<ChoiceEvent.Sampled> sampled) {
    return routing.tokens() ? new MoeFields(null, experts(routing, sampled)) : null;
  }

  /** The statistics at the end of a streamed choice; null if not asked for. */
  static MoeFields end(StreamedChoice text) {
    return text.generation().routes() == null ? null : new MoeFields(layers(text), null);
  }

  private static List<ObjectNode> layers(StreamedChoice text) {
    RouteStatistics routes = text.generation().routes();
    return routes == null ? null : RouteTable.json(routes);
  }

  private static List<int[]> experts(Routing routing, List<ChoiceEvent.Sampled> sampled) {
    return routing.tokens() ? sampled.stream().map(ChoiceEvent.Sampled::experts).toList() : null;
  }
}
