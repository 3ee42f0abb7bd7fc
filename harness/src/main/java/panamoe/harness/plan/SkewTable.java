package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart;
import panamoe.harness.report.LineChart.Curve;
import panamoe.plan.Skew;
import panamoe.plan.SkewSweep;
import panamoe.plan.SkewSweep.Row;

/** What skew costs, as JSON, as a table and as plots. */
record SkewTable(SkewSweep sweep, List<Row> rows) {
  static SkewTable of(SkewSweep sweep) {
    return new SkewTable(sweep, sweep.rows());
  }

  ArrayNode json() {
    ArrayNode json = JsonNodeFactory.instance.arrayNode();
    for (Row row : rows) {
      ObjectNode object = json.addObject().put("skew", row.skew().toString());
      ObjectNode dropped = object.putObject("dropped_by_capacity_factor");
      for (int i = 0; i < row.dropped().length; i++) {
        dropped.put("" + SkewSweep.FACTORS.get(i), row.dropped()[i]);
      }
      ObjectNode load = object.putObject("load_by_copies");
      for (int i = 0; i < row.load().length; i++) {
        load.put("" + SkewSweep.COPIES.get(i), row.load()[i]);
      }
    }
    return json;
  }

  /** What the numbers are, in one sentence. */
  String caption() {
    return String.format(
        Locale.ROOT,
        "Skew, in the last layer with experts: routes that a capacity factor drops, of %,d tokens of a rank, and rows of"
            + " the fullest of %,d ranks over the mean, by copies of experts that each rank holds.",
        sweep.tokens(),
        Math.min(sweep.ranks(), experts()));
  }

  private int experts() {
    return sweep.config().experts().stream().filter(n -> n > 0).toList().getLast();
  }

  String text() {
    StringBuilder text = new StringBuilder();
    text.append(String.format(Locale.ROOT, "%-26s %-35s   %s%n", "", "dropped, %", "load"));
    text.append(String.format(Locale.ROOT, "%-26s", "skew"));
    SkewSweep.FACTORS.forEach(factor -> text.append(String.format(Locale.ROOT, " %6.2f", factor)));
    text.append("  ");
    SkewSweep.COPIES.forEach(
        copies -> text.append(String.format(Locale.ROOT, " %8s", "+" + copies)));
    text.append(System.lineSeparator());
    for (Row row : rows) {
      text.append(String.format(Locale.ROOT, "%-26s", row.skew()));
      for (double dropped : row.dropped()) {
        text.append(String.format(Locale.ROOT, " %6.1f", 100 * dropped));
      }
      text.append("  ");
      for (double load : row.load()) {
        text.append(String.format(Locale.ROOT, " %8.2f", load));
      }
      text.append(System.lineSeparator());
    }
    return text.toString();
  }

  String html() {
    return Html.heading("Skew")
        + Html.paragraph(caption())
        + Html.figures(
            Html.figure(
                new LineChart(
                        "Routes dropped, %",
                        "Zipf exponent",
                        IntStream.range(0, SkewSweep.FACTORS.size())
                            .mapToObj(
                                i ->
                                    curve(
                                        "factor " + SkewSweep.FACTORS.get(i),
                                        row -> 100 * row.dropped()[i]))
                            .toList(),
                        0,
                        0)
                    .draw("Routes dropped by skew and capacity factor"),
                "A line for each capacity factor."),
            Html.figure(
                new LineChart(
                        "Load of the fullest rank",
                        "Zipf exponent",
                        IntStream.range(0, SkewSweep.COPIES.size())
                            .mapToObj(
                                i ->
                                    curve(
                                        "copies " + SkewSweep.COPIES.get(i), row -> row.load()[i]))
                            .toList(),
                        0,
                        0)
                    .draw("Load of the fullest rank by skew and copies"),
                "Rows of the fullest rank over the mean; a line for each number of copies of experts on a rank."))
        + table();
  }

  private Curve curve(String name, ToDoubleFunction<Row> y) {
    List<Row> exponents = rows.stream().filter(row -> row.skew() instanceof Skew.Zipf).toList();
    return new Curve(
        name,
        exponents.stream().mapToDouble(row -> ((Skew.Zipf) row.skew()).exponent()).toArray(),
        exponents.stream().mapToDouble(y).toArray(),
        true);
  }

  private String table() {
    List<String> head = new ArrayList<>(List.of("skew"));
    SkewSweep.FACTORS.forEach(factor -> head.add("dropped at " + factor));
    SkewSweep.COPIES.forEach(copies -> head.add("load with " + copies));
    return Html.table(head, rows.stream().map(SkewTable::cells).toList());
  }

  private static List<String> cells(Row row) {
    List<String> cells = new ArrayList<>(List.of(row.skew().toString()));
    for (double dropped : row.dropped()) {
      cells.add(String.format(Locale.ROOT, "%.1f %%", 100 * dropped));
    }
    for (double load : row.load()) {
      cells.add(String.format(Locale.ROOT, "%.2f", load));
    }
    return cells;
  }
}
