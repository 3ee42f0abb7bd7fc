package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.Html;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Count;
import panamoe.io.Parts;
import panamoe.parallel.Topology;
import panamoe.plan.Constant;
import panamoe.plan.Faults;
import panamoe.plan.StepTime;
import panamoe.plan.TrainingPlan;
import panamoe.plan.TrainingSearch;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/**
 * Ways to train a model.
 *
 * @param price of a card for an hour; null: none is known
 * @param config where the fastest plan's settings are written; null: nowhere
 * @param skew null: not asked for
 */
record TrainingReport(
    TrainingSearch search, TrainingSearch.Found found, Double price, String config, SkewTable skew)
    implements PlanReport<TrainingPlan> {

  /** The fastest plan's run. */
  RunConfig run() {
    return found.fastest().run(search.run());
  }

  @Override
  public String title() {
    TrainConfig training = search.run().training();
    return String.format(
        Locale.ROOT,
        "%s trained on %s, predicted: %s of %s of %s, in %s",
        search.name(),
        search.cluster(),
        Count.of(training.steps(), "step"),
        Count.of(training.batch(), "sequence"),
        Count.of(training.sequence(), "token"),
        training.dtype().name().toLowerCase(Locale.ROOT));
  }

  @Override
  public Front<TrainingPlan> front() {
    return new Front<>(found.front(), found.smallest(), found.cheapest(), found.fastest());
  }

  @Override
  public List<Misfit> misfits() {
    String undivided =
        ": no degrees divide " + Count.of(search.run().training().batch(), "sequence");
    return found.misfits().stream()
        .map(
            misfit ->
                misfit.least() == null
                    ? new Misfit(misfit.cards(), null, undivided)
                    : Misfit.of(misfit.cards(), misfit.least(), search.room()))
        .toList();
  }

  @Override
  public ObjectNode settings() {
    TrainConfig training = search.run().training();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", search.name());
    json.put("cluster", search.cluster().toString());
    json.put("dtype", training.dtype().name().toLowerCase(Locale.ROOT));
    json.put("steps", training.steps());
    json.put("batch", training.batch());
    json.put("context", training.sequence());
    return json;
  }

  @Override
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(search.model().efficiency().constants());
    all.putAll(search.cluster().node().constants());
    if (search.checkpoints() != null) {
      all.putAll(Faults.constants());
    }
    return all;
  }

  @Override
  public ObjectNode json(TrainingPlan plan) {
    ObjectNode json = plan.toJson();
    if (price != null) {
      json.put("cost", cost(plan));
    }
    return json;
  }

  private double cost(TrainingPlan plan) {
    return plan.cardHours() * price;
  }

  @Override
  public Topology topology(TrainingPlan plan) {
    return plan.topology();
  }

  @Override
  public StepTime time(TrainingPlan plan) {
    return plan.time().step();
  }

  @Override
  public Parts memory(TrainingPlan plan) {
    return plan.memory();
  }

  @Override
  public String launch(TrainingPlan plan) {
    return LaunchLine.ofTraining(
        config == null ? "config.json" : config,
        search.cluster(),
        plan.topology(),
        search.model().optimizations().overlap());
  }

  @Override
  public String launched() {
    return "run by" + (config == null ? " (--write-config config.json writes its settings)" : "");
  }

  @Override
  public List<Column<TrainingPlan>> columns() {
    List<Column<TrainingPlan>> columns = new ArrayList<>();
    columns.add(Column.of("micro", "%d", plan -> plan.training().microBatches()));
    columns.add(Column.of("recompute", "%s", plan -> plan.training().recompute() ? "yes" : "no"));
    columns.add(Column.of("days", "%.2f", TrainingPlan::days));
    columns.add(Column.of("card-hours", "%,.0f", TrainingPlan::cardHours));
    columns.add(Column.of("tokens/s", "%,.0f", TrainingPlan::tokensPerSecond));
    if (price != null) {
      columns.add(Column.of("cost", "%,.0f", this::cost));
    }
    return columns;
  }

  @Override
  public Map<String, Table<TrainingPlan>> more() {
    if (search.checkpoints() == null) {
      return Map.of();
    }
    return Map.of(
        "Failures",
        new Table<>(
            List.of(
                Column.of("cards", "%5d", TrainingPlan::cards),
                Column.of("checkpoint, s", "%.1f", plan -> plan.loss().checkpoint()),
                Column.of("every", "%.0f min", plan -> plan.loss().interval() / 60),
                Column.of("steps", "%d", TrainingPlan::checkpointEvery),
                Column.of("lost", "%.2f %%", plan -> 100 * plan.loss().share())),
            found.front()));
  }

  @Override
  public String remark() {
    double most = found.front().stream().mapToDouble(plan -> plan.time().dropped()).max().orElse(0);
    return most == 0
        ? ""
        : String.format(
            Locale.ROOT,
            "Experts' capacity drops %.1f %% of the routes of the fastest plan, where tokens choose: %s.",
            100 * found.fastest().time().dropped(),
            search.model().skew());
  }

  @Override
  public String introduction() {
    return "Each plan is the fastest on its cards, and no plan of fewer cards is as fast.";
  }

  @Override
  public String figures() {
    return Html.heading("Cards, days, cost")
        + Html.figures(
            figure(
                "Days",
                TrainingPlan::days,
                "cards",
                TrainingPlan::cards,
                "More cards, fewer days."),
            figure(
                "Hours of a card",
                TrainingPlan::cardHours,
                "days",
                TrainingPlan::days,
                "What fewer days cost."));
  }

  private String figure(
      String y,
      ToDoubleFunction<TrainingPlan> ys,
      String x,
      ToDoubleFunction<TrainingPlan> xs,
      String caption) {
    return PlanPage.figure(y, x, List.of(PlanPage.curve("", found.front(), xs, ys)), caption);
  }

  @Override
  public String timed() {
    return "step";
  }
}
