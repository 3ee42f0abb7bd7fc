package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.io.Count;
import panamoe.plan.Constant;
import panamoe.plan.Plan;
import panamoe.plan.Search;
import panamoe.plan.Search.Found;
import panamoe.plan.Search.Misfit;
import panamoe.plan.Term;

/**
 * What a search has found, as JSON and as a table.
 *
 * @param skew null: not asked for
 */
record PlanReport(Search search, Found found, SkewTable skew) {
  private static final double PER_MILLION_IN_HOURS = 1e6 / 3600;

  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", search.name());
    json.put("cluster", search.cluster().toString());
    json.put("dtype", search.dtype().name().toLowerCase(Locale.ROOT));
    json.put("batch", search.batch());
    json.put("context", search.context());
    json.set("constants", Constants.json(constants()));
    for (Plan plan : found.front()) {
      json.withArray("front").add(plan.toJson().put("launch", launch(plan)));
    }
    json.put("smallest", found.front().indexOf(found.smallest()));
    json.put("cheapest", found.front().indexOf(found.cheapest()));
    json.put("fastest", found.front().indexOf(found.fastest()));
    for (Misfit misfit : found.misfits()) {
      json.withArray("does_not_fit")
          .addObject()
          .put("cards", misfit.cards())
          .set("memory", misfit.least().toJson());
    }
    if (skew != null) {
      json.set("skew", skew.json());
    }
    return json;
  }

  Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(search.latency().efficiency().constants());
    all.putAll(search.cluster().node().constants());
    return all;
  }

  /** In one line, for headings. */
  String title() {
    return String.format(
        Locale.ROOT,
        "%s on %s, predicted: %s for each data rank, of %s, in %s",
        search.name(),
        search.cluster(),
        Count.of(search.batch(), "sequence"),
        Count.of(search.context(), "token"),
        search.dtype().name().toLowerCase(Locale.ROOT));
  }

  String text() {
    StringBuilder text = new StringBuilder();
    line(text, "%s", title());
    line(text, "");
    line(
        text,
        "%5s %4s %6s %6s %6s %-12s %8s %9s %9s %6s",
        "cards",
        "data",
        "expert",
        "tensor",
        "slices",
        "exchange",
        "ms/token",
        "tokens/s",
        "card-h/1M",
        "GB");
    for (Plan plan : found.front()) {
      line(
          text,
          "%5d %4d %6d %6d %6d %-12s %8.2f %,9.0f %9.2f %6.1f  %s",
          plan.cards(),
          plan.topology().dataDegree(),
          plan.topology().expertDegree(),
          plan.topology().tensorDegree(),
          plan.topology().expertSlices(),
          plan.exchange().name().toLowerCase(Locale.ROOT),
          1e3 * plan.latency(),
          plan.tokensPerSecond(),
          cardHours(plan),
          plan.memory().total() / 1e9,
          remark(plan));
    }
    misfits(text);
    line(text, "");
    line(text, "%5s %8s %s", "cards", "ms/token", Terms.heading(Term.values()));
    for (Plan plan : found.front()) {
      line(text, "%5d %8.2f %s", plan.cards(), 1e3 * plan.latency(), Terms.row(plan.time(), 2));
    }
    if (skew != null) {
      line(text, "");
      line(text, "%s", skew.caption());
      text.append(skew.text());
    }
    line(text, "");
    line(text, "The fastest plan is served by");
    line(text, "    %s", launch(found.fastest()));
    line(text, "");
    return text.append(Constants.text(constants())).toString();
  }

  private String launch(Plan plan) {
    return LaunchLine.ofServing(search, plan);
  }

  /** Hours of a card for a million tokens. */
  static double cardHours(Plan plan) {
    return plan.cardSeconds() * PER_MILLION_IN_HOURS;
  }

  /** What the plan is best in, or nothing. */
  String remark(Plan plan) {
    List<String> remarks = new ArrayList<>();
    if (plan.equals(found.smallest())) {
      remarks.add("fewest cards");
    }
    if (plan.equals(found.cheapest())) {
      remarks.add("cheapest tokens");
    }
    if (plan.equals(found.fastest())) {
      remarks.add("fastest");
    }
    return String.join(", ", remarks);
  }

  private void misfits(StringBuilder text) {
    for (Misfit misfit : found.misfits()) {
      line(
          text,
          "%5d does not fit: a card needs %.1f GB, %.1f GB of it for %s, and has room for %.1f GB",
          misfit.cards(),
          misfit.least().total() / 1e9,
          misfit.least().largest() / 1e9,
          misfit.least().largestName(),
          search.room() / 1e9);
    }
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format, values).stripTrailing());
    text.append(System.lineSeparator());
  }
}
