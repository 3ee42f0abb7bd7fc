package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import panamoe.plan.Constant;
import panamoe.plan.Paper;
import panamoe.plan.Paper.Prediction;
import panamoe.plan.PaperClaims;
import panamoe.plan.PaperPoint;
import panamoe.plan.PaperTraining;
import panamoe.plan.Term;
import panamoe.plan.TrainingTerm;

/** {@code plan --paper}. */
final class PaperReport {
  private PaperReport() {}

  static ObjectNode json(Paper paper) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.set("constants", Constants.json(constants(paper)));
    PaperPoint.FITTED.forEach(point -> json.withArray("fitted").add(point.name()));
    paper.predictions().forEach(each -> json.withArray("points").add(json(each)));
    json.set("student", json(paper.student()));
    for (Paper.Fewest fewest : paper.fewestCards()) {
      json.withArray("fewest_cards")
          .addObject()
          .put("model", fewest.model())
          .put("published", fewest.published())
          .put("predicted", fewest.predicted());
    }
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
    json.set("terms", prediction.time().step().toJson());
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
    StringBuilder text = new StringBuilder();
    line(text, "Milliseconds for a token, on A100 cards of 40 GB. * are the points that constants");
    line(text, "were fitted to; all others are predicted.");
    line(text, "");
    line(
        text,
        "%-27s %6s %6s %6s %s",
        "model@cards",
        "paper",
        "model",
        "error",
        Terms.heading(Term.values()));
    paper.predictions().forEach(each -> row(text, each));
    row(text, paper.student());
    line(text, "");
    line(text, "%-27s %6s %6s", "fewest cards", "paper", "model");
    for (Paper.Fewest fewest : paper.fewestCards()) {
      line(text, "%-27s %6d %6d", fewest.model(), fewest.published(), fewest.predicted());
    }
    line(text, "");
    line(text, "Without one of the optimizations, by the model:");
    for (Prediction prediction : paper.predictions()) {
      for (Paper.Without without : prediction.without()) {
        line(
            text,
            "%-27s %6.1f ms, %.2f times as long, without %s",
            prediction.point().name(),
            1e3 * without.seconds(),
            without.seconds() / prediction.time().seconds(),
            without.optimization());
      }
    }
    line(text, "");
    training(text, training(paper));
    line(text, "");
    PaperClaims claims = paper.claims();
    return text.append(ClaimsReport.text(claims))
        .append(Constants.text(constants(paper)))
        .append(Constants.text(claims.constants()))
        .toString();
  }

  private static void training(StringBuilder text, PaperTraining training) {
    line(text, "Training on 128 A100 cards, sequences/s, and milliseconds of a step:");
    line(
        text,
        "%-27s %6s %6s %6s %s",
        "",
        "paper",
        "model",
        "error",
        Terms.heading(TrainingTerm.values()));
    for (PaperTraining.Prediction each : training.predictions()) {
      line(
          text,
          "%-27s %6.0f %6.1f %+5.1f%% %s",
          each.point().model() + (each.point().equals(PaperTraining.FITTED) ? " *" : ""),
          each.point().samples(),
          each.samples(),
          100 * each.error(),
          Terms.row(each.time().step(), 1));
    }
    line(
        text,
        "%-27s %5.2fx %5.2fx",
        "how much faster",
        training.faster(each -> each.point().samples()),
        training.faster(PaperTraining.Prediction::samples));
  }

  private static void row(StringBuilder text, Prediction prediction) {
    PaperPoint point = prediction.point();
    line(
        text,
        "%-27s %6.1f %6.1f %+5.1f%% %s",
        point.name() + (PaperPoint.FITTED.contains(point) ? " *" : ""),
        point.milliseconds(),
        1e3 * prediction.time().seconds(),
        100 * prediction.error(),
        Terms.row(prediction.time(), 2));
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format + "%n", values));
  }
}
