package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.io.Count;
import panamoe.plan.BusiestLink;
import panamoe.plan.Twin;

/**
 * Times of twins beside the closed form, as JSON and as a table.
 *
 * @param routes the trained model that chose experts, or null: they were spread evenly
 */
record TwinReport(PlayedStep step, Path routes, Map<Strategy, Twin.Result> results) {
  ObjectNode json() {
    PlayedLayer layer = step.layer();
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
    PlayedLayer layer = step.layer();
    StringBuilder text = new StringBuilder();
    line(
        text,
        "%s on %s, layer %d: %s of each of %s, %d of %s each, %s; rows of %,d bytes",
        layer.model(),
        step.cluster(),
        layer.number(),
        Count.of(step.tokens(), "token"),
        Count.of(step.topology().dataDegree(), "data rank"),
        layer.topK(),
        Count.of(layer.experts(), "expert"),
        routes == null ? "evenly" : "as " + routes + " chooses",
        step.rowBytes());
    line(text, "milliseconds of dispatch and combine together; counts go before them");
    line(text, "");
    line(
        text,
        "%-12s %11s %8s %10s %8s  %s",
        "exchange",
        "closed form",
        "twin",
        "difference",
        "counts",
        "busiest link");
    results.forEach(
        (strategy, result) -> {
          BusiestLink busiest = result.busiest();
          line(
              text,
              "%-12s %11.3f %8.3f %8.1f %% %8.3f  card %d %s, %.0f %% of the time",
              name(strategy),
              1e3 * result.closedForm(),
              1e3 * result.simulated(),
              100 * result.difference(),
              1e3 * result.counts(),
              busiest.rank(),
              busiest.name(),
              100 * busiest.seconds() / result.simulated());
        });
    return text.toString();
  }

  private static String name(Strategy strategy) {
    return strategy.name().toLowerCase(Locale.ROOT);
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format, values).stripTrailing());
    text.append(System.lineSeparator());
  }
}
