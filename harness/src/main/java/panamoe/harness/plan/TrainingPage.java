package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.StackedBars;
import panamoe.harness.report.StackedBars.Bar;
import panamoe.io.Count;
import panamoe.plan.TrainingPlan;
import panamoe.plan.TrainingTerm;
import panamoe.train.MemoryForecast;

/** The page of {@code plan --tokens --html}. */
final class TrainingPage {
  private TrainingPage() {}

  static String of(TrainingReport report) {
    List<TrainingPlan> front = report.found().front();
    StringBuilder body = new StringBuilder();
    body.append(
        Html.paragraph(
            "All times are predictions. Each plan is the fastest on its cards, and no plan of fewer cards is as fast."));
    body.append(Html.heading("Cards, days, cost"));
    body.append(
        Html.figures(
            chart(
                "Days",
                "cards",
                front,
                TrainingPlan::cards,
                TrainingPlan::days,
                "More cards, fewer days."),
            chart(
                "Hours of a card",
                "days",
                front,
                TrainingPlan::days,
                TrainingPlan::cardHours,
                "What fewer days cost.")));
    body.append(plans(report));
    body.append(Html.heading("Where a step's time goes"));
    body.append(
        Html.figure(
            new StackedBars(
                    "A step, term by term",
                    Arrays.stream(TrainingTerm.values()).map(TrainingTerm::heading).toList(),
                    front.stream()
                        .map(
                            plan ->
                                bar(plan, 1, plan.time().step().terms().values().stream().toList()))
                        .toList(),
                    "s")
                .draw("The terms of each plan's step"),
            "A bar for each plan, in the order of the table."));
    for (TrainingTerm term : TrainingTerm.values()) {
      body.append(Html.paragraph(term.heading() + ": " + term.meaning()));
    }
    body.append(Html.heading("What fills a card"));
    body.append(
        Html.figure(
            new StackedBars(
                    "The fullest card",
                    List.of("weights", "gradients", "moments", "activations", "in flight"),
                    front.stream().map(plan -> bar(plan, 1e-9, parts(plan.memory()))).toList(),
                    "GB")
                .draw("The parts of each plan's memory"),
            "In flight are the gradients of activations at the deepest point of the backward."));
    if (report.search().checkpoints() != null) {
      body.append(failures(front));
    }
    if (report.skew() != null) {
      body.append(report.skew().html());
    }
    body.append(Html.heading("Constants"));
    body.append(Constants.html(report.constants()));
    return Html.page(report.title(), body);
  }

  private static String chart(
      String y,
      String x,
      List<TrainingPlan> front,
      ToDoubleFunction<TrainingPlan> xs,
      ToDoubleFunction<TrainingPlan> ys,
      String caption) {
    Curve curve =
        new Curve(
            "",
            front.stream().mapToDouble(xs).toArray(),
            front.stream().mapToDouble(ys).toArray(),
            true);
    return Html.figure(new LineChart(y, x, List.of(curve), 0, 0).draw(y + " by " + x), caption);
  }

  private static String plans(TrainingReport report) {
    List<String> head =
        new ArrayList<>(
            List.of(
                "cards",
                "data",
                "expert",
                "tensor",
                "slices",
                "micro-batches",
                "recompute",
                "days",
                "card-hours",
                "tokens/s",
                "GB"));
    if (report.price() != null) {
      head.add("cost");
    }
    return Html.table(
        head,
        report.found().front().stream()
            .map(
                plan -> {
                  List<String> cells = new ArrayList<>(cells(plan));
                  if (report.price() != null) {
                    cells.add(number("%,.0f", report.cost(plan)));
                  }
                  return cells;
                })
            .toList());
  }

  private static String failures(List<TrainingPlan> front) {
    return Html.heading("Failures")
        + Html.table(
            List.of(
                "cards",
                "a checkpoint, s",
                "minutes between",
                "steps between",
                "time lost to failures and checkpoints"),
            front.stream()
                .map(
                    plan ->
                        List.of(
                            "" + plan.cards(),
                            number("%.1f", plan.loss().checkpoint()),
                            number("%.0f", plan.loss().interval() / 60),
                            "" + plan.checkpointEvery(),
                            number("%.2f %%", 100 * plan.loss().share())))
                .toList());
  }

  private static List<String> cells(TrainingPlan plan) {
    return List.of(
        "" + plan.cards(),
        "" + plan.topology().dataDegree(),
        "" + plan.topology().expertDegree(),
        "" + plan.topology().tensorDegree(),
        "" + plan.topology().expertSlices(),
        "" + plan.training().microBatches(),
        plan.training().recompute() ? "yes" : "no",
        number("%.2f", plan.days()),
        number("%,.0f", plan.cardHours()),
        number("%,.0f", plan.tokensPerSecond()),
        number("%.1f", plan.memory().total() / 1e9));
  }

  private static List<Double> parts(MemoryForecast memory) {
    return List.of(
        (double) memory.weights(),
        (double) memory.gradients(),
        (double) memory.moments(),
        (double) memory.activations(),
        (double) memory.inFlight());
  }

  private static Bar bar(TrainingPlan plan, double scale, List<Double> values) {
    return new Bar(
        String.format(
            Locale.ROOT,
            "%s, tensor %d, expert %d",
            Count.of(plan.cards(), "card"),
            plan.topology().tensorDegree(),
            plan.topology().expertDegree()),
        values.stream().mapToDouble(value -> scale * value).toArray());
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
