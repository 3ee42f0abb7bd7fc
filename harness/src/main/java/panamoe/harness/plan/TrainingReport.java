package panamoe.harness.plan;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.Html;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.plan.Constant;
import panamoe.plan.FailureCost;
import panamoe.plan.Plan;
import panamoe.plan.PlanSearch;
import panamoe.plan.TrainingObjective;
import tools.jackson.databind.node.ObjectNode;

/**
 * The report of {@code plan train}.
 *
 * @param skew null if not requested
 * @param price per device-hour; null if not given
 * @param config file of the fastest plan's settings; null if not written
 */
record TrainingReport(
    PlanSearch search, PlanSearch.Found found, SkewTable skew, Double price, Path config)
    implements PlanReport {
  private TrainingObjective training() {
    return (TrainingObjective) search.objective();
  }

  @Override
  public String title() {
    return Words.of(
        "%s trained on %s, predicted: %s of %s of %s, in %s",
        search.name(),
        search.cluster(),
        Count.of(training().run().training().schedule().steps(), "step"),
        Count.of(objective().batch(), "sequence"),
        Count.of(objective().context(), "token"),
        dtype());
  }

  @Override
  public void addSettings(ObjectNode json) {
    json.put("steps", training().run().training().schedule().steps());
  }

  @Override
  public Map<String, Constant> constants() {
    Map<String, Constant> all = PlanReport.super.constants();
    if (training().checkpoints() != null) {
      all.putAll(FailureCost.constants());
    }
    return all;
  }

  @Override
  public ObjectNode json(Plan plan) {
    ObjectNode json = plan.toJson();
    if (price != null) {
      json.put("cost", cost(plan));
    }
    return json;
  }

  private double cost(Plan plan) {
    return plan.deviceHours() * price;
  }

  @Override
  public String launch(Plan plan) {
    String settings = config == null ? "config.json" : config.toString();
    List<String> train = List.of("train", "--config", settings, "--data", "TOKENS");
    return LaunchCommand.of(train, search, plan.topology(), List.of("--out", "RUN"));
  }

  @Override
  public String launched() {
    return "run by" + (config == null ? " (--write-config config.json writes its settings)" : "");
  }

  @Override
  public List<Column<Plan>> columns() {
    List<Column<Plan>> columns = new ArrayList<>();
    columns.add(Column.of("micro", "%d", plan -> plan.training().batch().microBatches()));
    columns.add(Column.of("recompute", "%s", plan -> plan.training().recompute() ? "yes" : "no"));
    columns.add(Column.of("days", "%.2f", Plan::days));
    columns.add(Column.of("device-hours", "%,.0f", Plan::deviceHours));
    columns.add(Column.of("tokens/s", "%,.0f", Plan::tokensPerSecond));
    if (price != null) {
      columns.add(Column.of("cost", "%,.0f", this::cost));
    }
    return columns;
  }

  @Override
  public Map<String, Table<Plan>> more() {
    if (training().checkpoints() == null) {
      return Map.of();
    }
    return Map.of(
        "Failures",
        new Table<>(
            List.of(
                PlanReport.devices(),
                Column.of("checkpoint, s", "%.1f", plan -> plan.loss().checkpoint()),
                Column.of("every", "%.0f min", plan -> plan.loss().interval() / 60),
                Column.of("steps", "%d", Plan::checkpointEvery),
                Column.of("lost", "%.2f %%", plan -> 100 * plan.loss().share())),
            found.front()));
  }

  @Override
  public String remark() {
    double most = found.front().stream().mapToDouble(plan -> plan.time().dropped()).max().orElse(0);
    return most == 0
        ? ""
        : Words.of(
            "The capacity of experts drops %.1f %% of the fastest plan's routes, with this choice of experts: %s.",
            100 * found.fastest().time().dropped(), objective().times().skew());
  }

  @Override
  public String figures() {
    return Html.heading("Devices, days, cost")
        + Html.figures(
            figure("Days", Plan::days, "devices", Plan::devices, "More devices, fewer days."),
            figure(
                "Device-hours", Plan::deviceHours, "days", Plan::days, "The cost of fewer days."));
  }

  private String figure(
      String y, ToDoubleFunction<Plan> ys, String x, ToDoubleFunction<Plan> xs, String caption) {
    return PlanPage.figure(y, x, List.of(PlanPage.curve("", found.front(), xs, ys)), caption);
  }
}
