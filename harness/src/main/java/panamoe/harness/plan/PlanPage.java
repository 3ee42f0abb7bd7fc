package panamoe.harness.plan;

import java.util.Collection;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.harness.report.StackedBars;
import panamoe.harness.report.StackedBars.Bar;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.parallel.Topology;
import panamoe.plan.CostTerm;
import panamoe.plan.Plan;
import panamoe.plan.PlanObjective.Phrases;

/** The HTML page of {@code plan serve --html} and {@code plan train --html}. */
record PlanPage(PlanReport report) {
  String html() {
    Plan fastest = report.found().fastest();
    Phrases phrases = report.objective().phrases();
    StringBuilder body = new StringBuilder();
    body.append(Html.paragraph("All times are predictions. " + phrases.inCommon()));
    body.append(report.figures());
    body.append(report.plans().html());
    body.append(Html.paragraph("The fastest plan is " + report.launched()));
    body.append(Html.commands(report.launch(fastest)));
    body.append(Html.heading("Where a " + phrases.timed() + "'s time goes"));
    List<CostTerm> terms = List.copyOf(fastest.time().terms().keySet());
    body.append(
        bars(
            "A " + phrases.timed() + ", term by term",
            "ms",
            terms.stream().map(CostTerm::heading).toList(),
            plan -> scaled(1e3, plan.time().terms().values())));
    body.append(
        new Table<>(
                List.of(
                    Column.ofWords("term", CostTerm::heading),
                    Column.ofWords("spent on", CostTerm::meaning)),
                terms)
            .html());
    body.append(Html.heading("What fills a device"));
    body.append(
        bars(
            "The fullest device",
            "GB",
            List.copyOf(fastest.memory().parts().keySet()),
            plan -> scaled(1e-9, plan.memory().parts().values())));
    report.more().forEach((heading, table) -> body.append(Html.heading(heading) + table.html()));
    if (!report.remark().isEmpty()) {
      body.append(Html.paragraph(report.remark()));
    }
    if (report.skew() != null) {
      body.append(report.skew().html());
    }
    body.append(Html.heading("Constants"));
    body.append(PlanReport.table(report.constants()).html());
    return Html.page(report.title(), body);
  }

  static String figure(String y, String x, List<Curve> curves, String caption) {
    LineChart chart = new LineChart(y, x, curves, 0, 0);
    return Html.figure(chart.draw(y + " by " + x), caption);
  }

  static <P> Curve curve(String name, List<P> plans, ToDoubleFunction<P> x, ToDoubleFunction<P> y) {
    return new Curve(
        name,
        plans.stream().mapToDouble(x).toArray(),
        plans.stream().mapToDouble(y).toArray(),
        Form.POINTS);
  }

  private static double[] scaled(double scale, Collection<? extends Number> values) {
    return values.stream().mapToDouble(value -> scale * value.doubleValue()).toArray();
  }

  private String bars(
      String title, String unit, List<String> parts, Function<Plan, double[]> values) {
    List<Bar> bars =
        report.found().front().stream().map(plan -> bar(plan, values.apply(plan))).toList();
    return Html.figure(
        new StackedBars(title, parts, bars, unit).draw(title),
        "One bar per plan, in the order of the table.");
  }

  private static Bar bar(Plan plan, double[] values) {
    Topology topology = plan.topology();
    return new Bar(
        Words.of(
            "%s, tensor %d, expert %d",
            Count.of(topology.ranks(), "device"), topology.tensorDegree(), topology.expertDegree()),
        values);
  }
}
