package panamoe.harness.plan;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BinaryOperator;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.StackedBars;
import panamoe.harness.report.StackedBars.Bar;
import panamoe.io.Count;
import panamoe.plan.Plan;
import panamoe.plan.Term;

/** The page of {@code plan --html}. */
final class PlanPage {
  private PlanPage() {}

  static String of(PlanReport report) {
    List<Plan> front = report.found().front();
    StringBuilder body = new StringBuilder();
    body.append(
        Html.paragraph(
            "All times are predictions. No plan here is beaten by another in cards, latency and cost of a token."));
    body.append(Html.heading("Cards, latency, cost"));
    body.append(
        Html.figures(
            Html.figure(
                new LineChart(
                        "Milliseconds for a token",
                        "cards",
                        List.of(
                            byCards("fastest", front, Plan::latency),
                            byCards("cheapest tokens", front, Plan::cardSeconds)),
                        0,
                        0)
                    .draw("Latency by cards"),
                "The fastest plan of the table, and the one of cheapest tokens, at each number of cards."),
            Html.figure(
                new LineChart(
                        "Milliseconds for a token",
                        "hours of a card for a million tokens",
                        List.of(costs(front)),
                        0,
                        0)
                    .draw("Latency by the cost of a token"),
                "What less latency costs, on however many cards.")));
    body.append(plans(front));
    for (Plan plan : front) {
      if (!report.remark(plan).isEmpty()) {
        body.append(
            Html.paragraph(
                String.format(
                    Locale.ROOT,
                    "%s: %.2f ms on %s",
                    report.remark(plan),
                    1e3 * plan.latency(),
                    Count.of(plan.cards(), "card"))));
      }
    }
    body.append(Html.heading("Where a token's time goes"));
    body.append(
        Html.figure(
            new StackedBars(
                    "A token, term by term",
                    Arrays.stream(Term.values()).map(Term::heading).toList(),
                    front.stream().map(PlanPage::bar).toList(),
                    "ms")
                .draw("The terms of each plan's time"),
            "A bar for each plan, in the order of the table."));
    for (Term term : Term.values()) {
      body.append(Html.paragraph(term.heading() + ": " + term.meaning()));
    }
    if (report.skew() != null) {
      body.append(report.skew().html());
    }
    body.append(Html.heading("Constants"));
    body.append(Constants.html(report.constants()));
    return Html.page(report.title(), body);
  }

  /** Latencies of the plans that are best by {@code measure}, one at each number of cards. */
  private static Curve byCards(String name, List<Plan> front, ToDoubleFunction<Plan> measure) {
    Map<Integer, Plan> best =
        front.stream()
            .collect(
                Collectors.toMap(
                    Plan::cards,
                    plan -> plan,
                    BinaryOperator.minBy(Comparator.comparingDouble(measure)),
                    TreeMap::new));
    return curve(name, List.copyOf(best.values()), Plan::cards);
  }

  /** The plans that no other beats in latency and cost. */
  private static Curve costs(List<Plan> front) {
    List<Plan> plans =
        front.stream()
            .filter(
                plan ->
                    front.stream()
                        .noneMatch(
                            other ->
                                other.latency() < plan.latency()
                                    && other.cardSeconds() <= plan.cardSeconds()))
            .sorted(Comparator.comparingDouble(Plan::cardSeconds))
            .toList();
    return curve("", plans, PlanReport::cardHours);
  }

  private static Curve curve(String name, List<Plan> plans, ToDoubleFunction<Plan> x) {
    return new Curve(
        name,
        plans.stream().mapToDouble(x).toArray(),
        plans.stream().mapToDouble(plan -> 1e3 * plan.latency()).toArray(),
        true);
  }

  private static String plans(List<Plan> front) {
    return Html.table(
        List.of(
            "cards",
            "data",
            "expert",
            "tensor",
            "slices",
            "exchange",
            "ms/token",
            "tokens/s",
            "card-h/1M",
            "GB"),
        front.stream()
            .map(
                plan ->
                    List.of(
                        "" + plan.cards(),
                        "" + plan.topology().dataDegree(),
                        "" + plan.topology().expertDegree(),
                        "" + plan.topology().tensorDegree(),
                        "" + plan.topology().expertSlices(),
                        plan.exchange().name().toLowerCase(Locale.ROOT),
                        number("%.2f", 1e3 * plan.latency()),
                        number("%,.0f", plan.tokensPerSecond()),
                        number("%.2f", PlanReport.cardHours(plan)),
                        number("%.1f", plan.memory().total() / 1e9)))
            .toList());
  }

  private static Bar bar(Plan plan) {
    return new Bar(
        String.format(
            Locale.ROOT,
            "%s, tensor %d, expert %d",
            Count.of(plan.cards(), "card"),
            plan.topology().tensorDegree(),
            plan.topology().expertDegree()),
        plan.time().terms().values().stream().mapToDouble(seconds -> 1e3 * seconds).toArray());
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
