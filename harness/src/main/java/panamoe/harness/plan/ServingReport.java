package panamoe.harness.plan;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BinaryOperator;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import panamoe.harness.ComputeType;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.Table.Column;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.plan.Plan;
import panamoe.plan.PlanSearch;
import panamoe.plan.StepTime;
import tools.jackson.databind.node.ObjectNode;

/**
 * The report of {@code plan serve}.
 *
 * @param skew null if not requested
 * @param tokens of a prompt per data rank
 * @param prompts prefill time of each plan
 */
record ServingReport(
    PlanSearch search,
    PlanSearch.Found found,
    SkewTable skew,
    int tokens,
    Map<Plan, StepTime> prompts)
    implements PlanReport {
  private static final double PER_MILLION_IN_HOURS = 1e6 / 3600;

  @Override
  public String title() {
    return Words.of(
        "%s on %s, predicted: %s of %s per data rank, in %s",
        search.name(),
        search.cluster(),
        Count.of(objective().batch(), "sequence"),
        Count.of(objective().context(), "token"),
        dtype());
  }

  @Override
  public void addSettings(ObjectNode json) {
    json.put("prompt", tokens);
  }

  @Override
  public ObjectNode json(Plan plan) {
    ObjectNode json = plan.toJson();
    json.put("prompt_ms", 1e3 * prompts.get(plan).seconds());
    json.set("prompt_terms", prompts.get(plan).toJson());
    return json;
  }

  /** Leaves the exchange at {@code auto}, which measures what the plan predicts. */
  @Override
  public String launch(Plan plan) {
    String dtype = ComputeType.of(objective().dtype()).toString();
    List<String> sizes = List.of("--dtype", dtype, "--sequences", "" + objective().batch());
    return LaunchCommand.of(List.of("serve", "MODEL"), search, plan.topology(), sizes);
  }

  @Override
  public String launched() {
    return "served by";
  }

  @Override
  public List<Column<Plan>> columns() {
    return List.of(
        Column.ofWords("exchange", plan -> plan.exchange().name().toLowerCase(Locale.ROOT)),
        Column.of("ms/token", "%.2f", ServingReport::milliseconds),
        Column.of("ms/prompt", "%.1f", plan -> 1e3 * prompts.get(plan).seconds()),
        Column.of("tokens/s", "%,.0f", Plan::tokensPerSecond),
        Column.of("device-h/1M", "%.2f", ServingReport::deviceHours));
  }

  @Override
  public String remark() {
    return Words.of(
        "ms/prompt is the time to the first token for a prompt of %s per data rank.",
        Count.of(tokens, "token"));
  }

  @Override
  public String figures() {
    return Html.heading("Devices, latency, cost")
        + Html.figures(
            PlanPage.figure(
                "Milliseconds for a token",
                "devices",
                List.of(
                    byDevices("fastest", Plan::seconds),
                    byDevices("cheapest tokens", Plan::deviceSeconds)),
                "The fastest plan and the one with the cheapest tokens, at each number of devices."),
            PlanPage.figure(
                "Milliseconds for a token",
                "device-hours per million tokens",
                List.of(costs()),
                "The cost of lower latency, over all numbers of devices."));
  }

  private static double deviceHours(Plan plan) {
    return plan.deviceSeconds() * PER_MILLION_IN_HOURS;
  }

  private static double milliseconds(Plan plan) {
    return 1e3 * plan.seconds();
  }

  /** Latency of the plan with the least {@code measure}, at each number of devices. */
  private Curve byDevices(String name, ToDoubleFunction<Plan> measure) {
    Map<Integer, Plan> best =
        found.front().stream()
            .collect(
                Collectors.toMap(
                    Plan::devices,
                    plan -> plan,
                    BinaryOperator.minBy(Comparator.comparingDouble(measure)),
                    TreeMap::new));
    return PlanPage.curve(
        name, List.copyOf(best.values()), Plan::devices, ServingReport::milliseconds);
  }

  /** The Pareto front in latency and cost. */
  private Curve costs() {
    List<Plan> plans =
        found.front().stream()
            .filter(this::isWorthItsCost)
            .sorted(Comparator.comparingDouble(Plan::deviceSeconds))
            .toList();
    return PlanPage.curve("", plans, ServingReport::deviceHours, ServingReport::milliseconds);
  }

  private boolean isWorthItsCost(Plan plan) {
    return found.front().stream()
        .noneMatch(
            other ->
                other.seconds() < plan.seconds() && other.deviceSeconds() <= plan.deviceSeconds());
  }
}
