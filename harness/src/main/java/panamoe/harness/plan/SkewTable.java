package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Words;
import panamoe.plan.PlanObjective;
import panamoe.plan.PlanSearch;
import panamoe.plan.Skew;
import panamoe.plan.SkewSweep;
import panamoe.plan.SkewSweep.Row;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The effect of skew, as JSON, as a table and as plots. */
record SkewTable(SkewSweep sweep, List<Row> rows) {
  /**
   * Computes the table for the model and the skew of a search.
   *
   * @param tokens per rank
   */
  static SkewTable of(PlanSearch search, long tokens) {
    PlanObjective objective = search.objective();
    SkewSweep sweep =
        new SkewSweep(
            objective.config(), objective.times().skew(), tokens, search.cluster().devices());
    return new SkewTable(sweep, sweep.rows());
  }

  ArrayNode json() {
    ArrayNode json = JsonNodeFactory.instance.arrayNode();
    for (Row row : rows) {
      ObjectNode object = json.addObject().put("skew", row.skew().toString());
      ObjectNode dropped = object.putObject("dropped_by_capacity_factor");
      row.dropped().forEach((factor, share) -> dropped.put("" + factor, share));
      ObjectNode load = object.putObject("load_by_copies");
      row.load().forEach((copies, more) -> load.put("" + copies, more));
    }
    return json;
  }

  String caption() {
    return Words.of(
        "Skew in the last MoE layer: routes that a capacity factor drops, with %,d tokens per rank, and load of the fullest of %,d ranks over the mean, by expert replicas per rank.",
        sweep.tokens(), Math.min(sweep.ranks(), experts()));
  }

  private int experts() {
    return sweep.config().experts().stream().filter(n -> n > 0).toList().getLast();
  }

  /** A share of dropped routes per capacity factor, and a load per number of replicas. */
  Table<Row> table() {
    List<Column<Row>> columns = new ArrayList<>();
    columns.add(Column.ofWords("skew", row -> row.skew().toString()));
    for (double factor : SkewSweep.FACTORS) {
      columns.add(Column.of("factor " + factor, "%.1f %%", row -> 100 * row.dropped().get(factor)));
    }
    for (int copies : SkewSweep.COPIES) {
      columns.add(Column.of("copies " + copies, "%.2f", row -> row.load().get(copies)));
    }
    return new Table<>(columns, rows);
  }

  String html() {
    return Html.heading("Skew")
        + Html.paragraph(caption())
        + Html.figures(
            PlanPage.figure(
                "Routes dropped, %",
                "Zipf exponent",
                SkewSweep.FACTORS.stream()
                    .map(each -> curve("factor " + each, row -> 100 * row.dropped().get(each)))
                    .toList(),
                "One line per capacity factor."),
            PlanPage.figure(
                "Load of the fullest rank",
                "Zipf exponent",
                SkewSweep.COPIES.stream()
                    .map(each -> curve("copies " + each, row -> row.load().get(each)))
                    .toList(),
                "Rows of the fullest rank over the mean; one line per number of expert replicas on a rank."))
        + table().html();
  }

  private Curve curve(String name, ToDoubleFunction<Row> y) {
    List<Row> exponents = rows.stream().filter(row -> row.skew() instanceof Skew.Zipf).toList();
    return PlanPage.curve(name, exponents, row -> ((Skew.Zipf) row.skew()).exponent(), y);
  }
}
