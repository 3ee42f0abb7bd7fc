package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;
import panamoe.plan.Paper;
import panamoe.plan.Paper.Prediction;
import panamoe.plan.PaperPoint;

/** {@code plan --paper}. */
final class PaperReport {
  private PaperReport() {}

  static ObjectNode json(Paper paper) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.set("constants", Constants.json(paper.constants()));
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
    return json;
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
    line(text, "%-27s %6s %6s %6s %s", "model@cards", "paper", "model", "error", Terms.HEADING);
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
    return text.append(Constants.text(paper.constants())).toString();
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
        Terms.row(prediction.time()));
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format + "%n", values));
  }
}
