package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BinaryOperator;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import panamoe.harness.report.Html;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Count;
import panamoe.io.Parts;
import panamoe.parallel.Topology;
import panamoe.plan.Constant;
import panamoe.plan.Plan;
import panamoe.plan.Search;
import panamoe.plan.StepTime;

/**
 * Ways to serve a model.
 *
 * @param prompts until a prompt has been read, of each plan
 * @param skew null: not asked for
 */
record ServingReport(Search search, Search.Found found, PromptTimes prompts, SkewTable skew)
    implements PlanReport<Plan> {
  private static final double PER_MILLION_IN_HOURS = 1e6 / 3600;

  @Override
  public String title() {
    return String.format(
        Locale.ROOT,
        "%s on %s, predicted: %s for each data rank, of %s, in %s",
        search.name(),
        search.cluster(),
        Count.of(search.batch(), "sequence"),
        Count.of(search.context(), "token"),
        search.dtype().name().toLowerCase(Locale.ROOT));
  }

  @Override
  public Front<Plan> front() {
    return new Front<>(found.front(), found.smallest(), found.cheapest(), found.fastest());
  }

  @Override
  public List<Misfit> misfits() {
    return found.misfits().stream()
        .map(misfit -> Misfit.of(misfit.cards(), misfit.least(), search.room()))
        .toList();
  }

  @Override
  public ObjectNode settings() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", search.name());
    json.put("cluster", search.cluster().toString());
    json.put("dtype", search.dtype().name().toLowerCase(Locale.ROOT));
    json.put("batch", search.batch());
    json.put("context", search.context());
    json.put("prompt", prompts.tokens());
    return json;
  }

  @Override
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(search.latency().efficiency().constants());
    all.putAll(search.cluster().node().constants());
    return all;
  }

  @Override
  public ObjectNode json(Plan plan) {
    ObjectNode json = plan.toJson();
    json.put("prompt_ms", 1e3 * prompts.of(plan).seconds());
    json.set("prompt_terms", prompts.of(plan).toJson());
    return json;
  }

  @Override
  public Topology topology(Plan plan) {
    return plan.topology();
  }

  @Override
  public StepTime time(Plan plan) {
    return plan.time();
  }

  @Override
  public Parts memory(Plan plan) {
    return plan.memory();
  }

  @Override
  public String launch(Plan plan) {
    return LaunchLine.ofServing(search, plan);
  }

  @Override
  public String launched() {
    return "served by";
  }

  @Override
  public List<Column<Plan>> columns() {
    return List.of(
        Column.ofWords("exchange", plan -> plan.exchange().name().toLowerCase(Locale.ROOT)),
        Column.of("ms/token", "%.2f", plan -> 1e3 * plan.latency()),
        Column.of("ms/prompt", "%.1f", plan -> 1e3 * prompts.of(plan).seconds()),
        Column.of("tokens/s", "%,.0f", Plan::tokensPerSecond),
        Column.of("card-h/1M", "%.2f", ServingReport::cardHours));
  }

  @Override
  public Map<String, Table<Plan>> more() {
    return Map.of();
  }

  @Override
  public String remark() {
    return "ms/prompt are the time until "
        + Count.of(prompts.tokens(), "token")
        + " of a prompt of each data rank are read, and the first token is known.";
  }

  @Override
  public String introduction() {
    return "No plan here is beaten by another in cards, latency and cost of a token.";
  }

  @Override
  public String figures() {
    return Html.heading("Cards, latency, cost")
        + Html.figures(
            PlanPage.figure(
                "Milliseconds for a token",
                "cards",
                List.of(
                    byCards("fastest", Plan::latency),
                    byCards("cheapest tokens", Plan::cardSeconds)),
                "The fastest plan of the table, and the one of cheapest tokens, at each number of cards."),
            PlanPage.figure(
                "Milliseconds for a token",
                "hours of a card for a million tokens",
                List.of(costs()),
                "What less latency costs, on however many cards."));
  }

  @Override
  public String timed() {
    return "token";
  }

  /** Hours of a card for a million tokens. */
  private static double cardHours(Plan plan) {
    return plan.cardSeconds() * PER_MILLION_IN_HOURS;
  }

  private static double milliseconds(Plan plan) {
    return 1e3 * plan.latency();
  }

  /** Latencies of the plans that are best by {@code measure}, one at each number of cards. */
  private Curve byCards(String name, ToDoubleFunction<Plan> measure) {
    Map<Integer, Plan> best =
        found.front().stream()
            .collect(
                Collectors.toMap(
                    Plan::cards,
                    plan -> plan,
                    BinaryOperator.minBy(Comparator.comparingDouble(measure)),
                    TreeMap::new));
    return PlanPage.curve(
        name, List.copyOf(best.values()), Plan::cards, ServingReport::milliseconds);
  }

  /** The plans that no other beats in latency and cost. */
  private Curve costs() {
    List<Plan> plans =
        found.front().stream()
            .filter(this::isWorthItsCost)
            .sorted(Comparator.comparingDouble(Plan::cardSeconds))
            .toList();
    return PlanPage.curve("", plans, ServingReport::cardHours, ServingReport::milliseconds);
  }

  private boolean isWorthItsCost(Plan plan) {
    return found.front().stream()
        .noneMatch(
            other -> other.latency() < plan.latency() && other.cardSeconds() <= plan.cardSeconds());
  }
}
