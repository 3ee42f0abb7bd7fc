package panamoe.harness.plan;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.plan.ExchangeSimulation;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The report of {@code twin}: simulated times next to the closed form, as JSON and as a table.
 *
 * @param routes the trained model that routed; null for even routes
 */
record TwinReport(
    SimulatedStep step, Path routes, Map<Strategy, ExchangeSimulation.Result> results) {
  private static final List<Column<Map.Entry<Strategy, ExchangeSimulation.Result>>> COLUMNS =
      List.of(
          Column.ofWords("exchange", each -> name(each.getKey())),
          Column.of("closed form", "%.3f", each -> 1e3 * each.getValue().closedForm()),
          Column.of("twin", "%.3f", each -> 1e3 * each.getValue().simulated()),
          Column.of("difference", "%.1f %%", each -> 100 * each.getValue().difference()),
          Column.of("counts", "%.3f", each -> 1e3 * each.getValue().counts()),
          Column.ofWords("busiest link", each -> busiest(each.getValue())));

  ObjectNode json() {
    SimulatedLayer layer = step.layer();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", layer.model()).put("layer", layer.number());
    json.put("cluster", step.cluster().toString());
    json.put("expert", step.topology().expertDegree(layer.experts()));
    json.put("tensor", step.topology().tensorDegree());
    json.put("slices", step.topology().expertSlices());
    json.put("tokens", step.tokens()).put("experts", layer.experts()).put("top_k", layer.topK());
    json.put("row_bytes", step.rowBytes());
    json.put("routes", routes == null ? "even" : routes.toString());
    results.forEach(
        (strategy, result) -> {
          ObjectNode one = json.withArray("exchanges").addObject();
          one.put("exchange", name(strategy));
          one.put("closed_form_ms", 1e3 * result.closedForm());
          one.put("twin_ms", 1e3 * result.simulated());
          one.put("counts_ms", 1e3 * result.counts());
          ObjectNode busiest = one.putObject("busiest");
          busiest.put("card", result.busiest().rank()).put("link", result.busiest().name());
          busiest.put("busy_ms", 1e3 * result.busiest().seconds());
        });
    return json;
  }

  String text() {
    SimulatedLayer layer = step.layer();
    return Words.of(
        "%s on %s, layer %d: %s on each of %s, top-%d of %s, %s; rows of %,d bytes%n"
            + "milliseconds of dispatch plus combine; counts are exchanged before them\n\n%s",
        layer.model(),
        step.cluster(),
        layer.number(),
        Count.of(step.tokens(), "token"),
        Count.of(step.topology().dataDegree(), "data rank"),
        layer.topK(),
        Count.of(layer.experts(), "expert"),
        routes == null ? "even routes" : "routes of " + routes,
        step.rowBytes(),
        new Table<>(COLUMNS, List.copyOf(results.entrySet())).text());
  }

  private static String busiest(ExchangeSimulation.Result result) {
    return Words.of(
        "device %d %s, %.0f %% of the time",
        result.busiest().rank(),
        result.busiest().name(),
        100 * result.busiest().seconds() / result.simulated());
  }

  private static String name(Strategy strategy) {
    return strategy.name().toLowerCase(Locale.ROOT);
  }
}
