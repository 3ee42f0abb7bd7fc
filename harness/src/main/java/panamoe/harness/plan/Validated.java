package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;
import panamoe.plan.StepTime;

/**
 * A step that was measured and predicted.
 *
 * @param batch texts of each rank
 * @param measured s, the median over rounds, like {@code predicted}
 * @param terms of one of the predictions
 */
record Validated(
    String model, int ranks, int batch, double measured, double predicted, StepTime terms) {
  static final String HEADER =
      String.format(
          Locale.ROOT,
          "%-28s %5s %5s %9s %9s %7s %s",
          "a step of",
          "ranks",
          "texts",
          "ms",
          "model",
          "error",
          Terms.HEADING);

  /** Of the prediction, as a share of what was measured. */
  double error() {
    return predicted / measured - 1;
  }

  String toRow() {
    return String.format(
        Locale.ROOT,
        "%-28s %5d %5d %9.2f %9.2f %+6.1f%% %s",
        model,
        ranks,
        batch * ranks,
        1e3 * measured,
        1e3 * predicted,
        100 * error(),
        Terms.row(terms));
  }

  ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", model).put("ranks", ranks).put("texts", batch * ranks);
    json.put("measured_ms", 1e3 * measured).put("predicted_ms", 1e3 * predicted);
    json.put("error", error());
    json.set("terms", terms.toJson());
    return json;
  }
}
