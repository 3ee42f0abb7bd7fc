package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Words;
import panamoe.plan.PlanObjective;
import panamoe.plan.Search;
import panamoe.plan.Skew;
import panamoe.plan.SkewSweep;
import panamoe.plan.SkewSweep.Row;

/** What skew costs, as JSON, as a table and as plots. */
record SkewTable(SkewSweep sweep, List<Row> rows) {
  /**
   * Of the model and the skew of a search.
   *
   * @param tokens of a rank
   */
  static SkewTable of(Search search, long tokens) {
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

  /** What the numbers are, in one sentence. */
  String caption() {
    return Words.of(
        "Skew, in the last layer with experts: routes that a capacity factor drops, of %,d tokens of a rank, and rows of"
            + " the fullest of %,d ranks over the mean, by copies of experts that each rank holds.",
        sweep.tokens(), Math.min(sweep.ranks(), experts()));
  }

  private int experts() {
    return sweep.config().experts().stream().filter(n -> n > 0).toList().getLast();
  }

  /** A share of routes for each capacity factor, a load for each number of copies. */
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
                "A line for each capacity factor."),
            PlanPage.figure(
                "Load of the fullest rank",
                "Zipf exponent",
                SkewSweep.COPIES.stream()
                    .map(each -> curve("copies " + each, row -> row.load().get(each)))
                    .toList(),
                "Rows of the fullest rank over the mean; a line for each number of copies of experts on a rank."))
        + table().html();
  }

  private Curve curve(String name, ToDoubleFunction<Row> y) {
    List<Row> exponents = rows.stream().filter(row -> row.skew() instanceof Skew.Zipf).toList();
    return PlanPage.curve(name, exponents, row -> ((Skew.Zipf) row.skew()).exponent(), y);
  }
}
