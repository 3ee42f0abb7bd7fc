package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.io.Count;
import panamoe.plan.Constant;
import panamoe.plan.Faults;
import panamoe.plan.TrainingPlan;
import panamoe.plan.TrainingSearch;
import panamoe.plan.TrainingSearch.Found;
import panamoe.plan.TrainingSearch.Misfit;
import panamoe.plan.TrainingTerm;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/**
 * What a search for training has found, as JSON and as a table.
 *
 * @param price of a card for an hour; null: none is known
 * @param config where the fastest plan's settings are written; null: nowhere
 * @param skew null: not asked for
 */
record TrainingReport(
    TrainingSearch search, Found found, Double price, String config, SkewTable skew) {

  ObjectNode json() {
    TrainConfig training = search.run().training();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", search.name());
    json.put("cluster", search.cluster().toString());
    json.put("dtype", training.dtype().name().toLowerCase(Locale.ROOT));
    json.put("steps", training.steps());
    json.put("batch", training.batch());
    json.put("context", training.sequence());
    json.set("constants", Constants.json(constants()));
    for (TrainingPlan plan : found.front()) {
      ObjectNode object = plan.toJson();
      if (price != null) {
        object.put("cost", cost(plan));
      }
      object.put("launch", launch(plan));
      json.withArray("front").add(object);
    }
    json.put("smallest", found.front().indexOf(found.smallest()));
    json.put("cheapest", found.front().indexOf(found.cheapest()));
    json.put("fastest", found.front().indexOf(found.fastest()));
    for (Misfit misfit : found.misfits()) {
      ObjectNode object = json.withArray("does_not_fit").addObject().put("cards", misfit.cards());
      if (misfit.least() != null) {
        object.set("memory", misfit.least().toJson());
      }
    }
    if (skew != null) {
      json.set("skew", skew.json());
    }
    return json;
  }

  /** The fastest plan's run. */
  RunConfig settings() {
    return found.fastest().run(search.run());
  }

  Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(search.model().efficiency().constants());
    all.putAll(search.cluster().node().constants());
    if (search.checkpoints() != null) {
      all.putAll(Faults.constants());
    }
    return all;
  }

  /** In one line, for headings. */
  String title() {
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

  String text() {
    StringBuilder text = new StringBuilder();
    line(text, "%s", title());
    line(text, "");
    line(
        text,
        "%5s %4s %6s %6s %6s %5s %9s %8s %11s %10s %8s %6s %s",
        "cards",
        "data",
        "expert",
        "tensor",
        "slices",
        "micro",
        "recompute",
        "days",
        "card-hours",
        "tokens/s",
        "step, s",
        "GB",
        price == null ? "" : String.format(Locale.ROOT, "%13s", "cost"));
    found.front().forEach(plan -> line(text, "%s", row(plan)));
    misfits(text);
    line(text, "");
    line(text, "%5s %9s %s", "cards", "step, ms", Terms.heading(TrainingTerm.values()));
    for (TrainingPlan plan : found.front()) {
      line(
          text,
          "%5d %9.1f %s",
          plan.cards(),
          1e3 * plan.time().seconds(),
          Terms.row(plan.time().step(), 1));
    }
    memory(text);
    failures(text);
    dropped(text);
    if (skew != null) {
      line(text, "");
      line(text, "%s", skew.caption());
      text.append(skew.text());
    }
    line(text, "");
    line(
        text,
        "The fastest plan is run by%s",
        config == null ? " (--write-config config.json writes its settings)" : "");
    line(text, "    %s", launch(found.fastest()));
    line(text, "");
    return text.append(Constants.text(constants())).toString();
  }

  private String row(TrainingPlan plan) {
    return String.format(
        Locale.ROOT,
        "%5d %4d %6d %6d %6d %5d %9s %8.2f %,11.0f %,10.0f %8.3f %6.1f %s %s",
        plan.cards(),
        plan.topology().dataDegree(),
        plan.topology().expertDegree(),
        plan.topology().tensorDegree(),
        plan.topology().expertSlices(),
        plan.training().microBatches(),
        plan.training().recompute() ? "yes" : "no",
        plan.days(),
        plan.cardHours(),
        plan.tokensPerSecond(),
        plan.time().seconds(),
        plan.memory().total() / 1e9,
        price == null ? "" : String.format(Locale.ROOT, "%,13.0f ", cost(plan)),
        remark(plan));
  }

  double cost(TrainingPlan plan) {
    return plan.cardHours() * price;
  }

  private String launch(TrainingPlan plan) {
    return LaunchLine.ofTraining(
        config == null ? "config.json" : config,
        search.cluster(),
        plan.topology(),
        search.model().optimizations().overlap());
  }

  /** What the plan is best in, or nothing. */
  String remark(TrainingPlan plan) {
    List<String> remarks = new ArrayList<>();
    if (plan.equals(found.smallest())) {
      remarks.add("fewest cards");
    }
    if (plan.equals(found.cheapest())) {
      remarks.add("cheapest");
    }
    if (plan.equals(found.fastest())) {
      remarks.add("fastest");
    }
    return String.join(", ", remarks);
  }

  private void misfits(StringBuilder text) {
    for (Misfit misfit : found.misfits()) {
      if (misfit.least() == null) {
        line(
            text,
            "%5d: no degrees divide %s",
            misfit.cards(),
            Count.of(search.run().training().batch(), "sequence"));
      } else {
        line(
            text,
            "%5d does not fit: a card needs %.1f GB, %.1f GB of it for %s, and has room for %.1f GB",
            misfit.cards(),
            misfit.least().total() / 1e9,
            misfit.least().largest() / 1e9,
            misfit.least().largestName(),
            search.room() / 1e9);
      }
    }
  }

  private void memory(StringBuilder text) {
    line(text, "");
    line(
        text,
        "%5s %6s %9s %9s %9s %11s %9s",
        "cards",
        "GB",
        "weights",
        "gradients",
        "moments",
        "activations",
        "in flight");
    for (TrainingPlan plan : found.front()) {
      MemoryForecast memory = plan.memory();
      line(
          text,
          "%5d %6.1f %9.1f %9.1f %9.1f %11.1f %9.1f",
          plan.cards(),
          memory.total() / 1e9,
          memory.weights() / 1e9,
          memory.gradients() / 1e9,
          memory.moments() / 1e9,
          memory.activations() / 1e9,
          memory.inFlight() / 1e9);
    }
  }

  private void failures(StringBuilder text) {
    if (search.checkpoints() == null) {
      return;
    }
    line(text, "");
    line(text, "%5s %13s %9s %9s %9s", "cards", "checkpoint, s", "every", "steps", "lost");
    for (TrainingPlan plan : found.front()) {
      Faults.Loss loss = plan.loss();
      line(
          text,
          "%5d %13.1f %5.0f min %9d %7.2f %%",
          plan.cards(),
          loss.checkpoint(),
          loss.interval() / 60,
          plan.checkpointEvery(),
          100 * loss.share());
    }
  }

  private void dropped(StringBuilder text) {
    double most = found.front().stream().mapToDouble(plan -> plan.time().dropped()).max().orElse(0);
    if (most > 0) {
      line(text, "");
      line(
          text,
          "Experts' capacity drops %.1f %% of the routes of the fastest plan, where tokens choose: %s.",
          100 * found.fastest().time().dropped(),
          search.model().skew());
    }
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format, values).stripTrailing());
    text.append(System.lineSeparator());
  }
}
