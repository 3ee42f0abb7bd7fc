package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.ConfigJson;
import panamoe.io.Words;
import panamoe.plan.Constant;
import panamoe.plan.CostTerm;
import panamoe.plan.Paper;
import panamoe.plan.Paper.Prediction;
import panamoe.plan.PaperPoint;
import panamoe.plan.PaperTraining;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

final class PaperReport {
  /** A model's time without an optimization. */
  private record LeftOut(Prediction with, Paper.Without without) {}

  private static final List<Column<LeftOut>> LEFT_OUT =
      List.of(
          Column.ofWords("model@GPUs", each -> each.with.point().name()),
          Column.of("ms", "%.1f", each -> 1e3 * each.without.seconds()),
          Column.of("times", "%.2f", each -> each.without.seconds() / each.with.time().seconds()),
          Column.ofWords("without", each -> each.without.optimization()));

  private static final List<Column<Paper.Fewest>> FEWEST =
      List.of(
          Column.ofWords("fewest GPUs", Paper.Fewest::model),
          Column.of("paper", "%d", Paper.Fewest::published),
          Column.of("model", "%d", Paper.Fewest::predicted));

  private PaperReport() {}

  static ObjectNode json(Paper paper) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.set("constants", PlanReport.json(constants(paper)));
    PaperPoint.FITTED.forEach(point -> json.withArray("fitted").add(point.name()));
    paper.predictions().forEach(each -> json.withArray("points").add(json(each)));
    json.set("student", json(paper.student()));
    paper.fewestGpus().forEach(each -> json.withArray("fewest_cards").add(ConfigJson.tree(each)));
    training(paper).predictions().forEach(each -> json.withArray("training").add(json(each)));
    ClaimsReport.addTo(json, paper.claims());
    return json;
  }

  private static ObjectNode json(PaperTraining.Prediction prediction) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", prediction.point().model());
    json.put("published_sequences_per_s", prediction.point().samples());
    json.put("predicted_sequences_per_s", prediction.samples());
    json.put("predicted_step_ms", 1e3 * prediction.time().seconds());
    json.set("terms", prediction.time().toJson());
    return json;
  }

  private static PaperTraining training(Paper paper) {
    return PaperTraining.fitted(paper.efficiency());
  }

  private static Map<String, Constant> constants(Paper paper) {
    Map<String, Constant> all = new LinkedHashMap<>(paper.constants());
    all.put("training_flops_share", training(paper).efficiency().flops());
    return all;
  }

  private static ObjectNode json(Prediction prediction) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("name", prediction.point().name());
    json.put("figure", prediction.point().figure());
    json.put("published_ms", prediction.point().milliseconds());
    json.put("predicted_ms", 1e3 * prediction.time().seconds());
    json.set("terms", prediction.time().toJson());
    ObjectNode without = json.putObject("without_ms");
    prediction.without().forEach(each -> without.put(each.optimization(), 1e3 * each.seconds()));
    return json;
  }

  static String text(Paper paper) {
    List<Prediction> predictions = new ArrayList<>(paper.predictions());
    predictions.add(paper.student());
    PaperTraining training = training(paper);
    Map<String, Constant> constants = constants(paper);
    constants.putAll(paper.claims().constants());
    return PlanReport.text(
        List.of(
            "Milliseconds for a token, on A100 GPUs of 40 GB. * are the points that constants",
            "are fitted to; all others are predicted.",
            "",
            new Table<>(latencies(), predictions).text(),
            "",
            new Table<>(FEWEST, paper.fewestGpus()).text(),
            "",
            "The model's times without one of the optimizations, and the slowdown:",
            new Table<>(LEFT_OUT, leftOut(paper)).text(),
            "",
            "Training on 128 A100 GPUs, sequences/s, and milliseconds of a step:",
            new Table<>(throughputs(), training.predictions()).text(),
            Words.of(
                "The MoE model is %.2f times as fast in the paper, %.2f times by the model.",
                training.faster(each -> each.point().samples()),
                training.faster(PaperTraining.Prediction::samples)),
            "",
            ClaimsReport.text(paper.claims()),
            "",
            PlanReport.table(constants).text()));
  }

  private static List<Column<Prediction>> latencies() {
    List<Column<Prediction>> columns = new ArrayList<>();
    columns.add(Column.ofWords("model@GPUs", each -> name(each.point())));
    columns.add(Column.of("paper", "%.1f", each -> each.point().milliseconds()));
    columns.add(Column.of("model", "%.1f", each -> 1e3 * each.time().seconds()));
    columns.add(Column.of("error", "%+.1f %%", each -> 100 * each.error()));
    columns.addAll(PlanReport.columns(CostTerm.SERVING, Prediction::time));
    return columns;
  }

  private static String name(PaperPoint point) {
    return point.name() + (PaperPoint.FITTED.contains(point) ? " *" : "");
  }

  private static List<LeftOut> leftOut(Paper paper) {
    return paper.predictions().stream()
        .flatMap(with -> with.without().stream().map(without -> new LeftOut(with, without)))
        .toList();
  }

  private static List<Column<PaperTraining.Prediction>> throughputs() {
    List<Column<PaperTraining.Prediction>> columns = new ArrayList<>();
    columns.add(
        Column.ofWords(
            "model",
            each ->
                each.point().model() + (each.point().equals(PaperTraining.FITTED) ? " *" : "")));
    columns.add(Column.of("paper", "%.0f", each -> each.point().samples()));
    columns.add(Column.of("model", "%.1f", PaperTraining.Prediction::samples));
    columns.add(Column.of("error", "%+.1f %%", each -> 100 * each.error()));
    columns.addAll(PlanReport.columns(CostTerm.TRAINING, PaperTraining.Prediction::time));
    return columns;
  }
}
