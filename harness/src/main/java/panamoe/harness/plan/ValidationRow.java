package panamoe.harness.plan;

import java.util.stream.Collectors;
import panamoe.io.Words;
import panamoe.plan.StepTime;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The measured and the predicted time of a step.
 *
 * @param batch sequences per rank
 * @param measured median seconds over rounds
 * @param predicted median prediction
 */
record ValidationRow(String model, int ranks, int batch, double measured, StepTime predicted) {
  static final String HEADER =
      Words.of(
          "%-28s %5s %5s %9s %9s %7s  %s",
          "a step of", "ranks", "seqs", "ms", "model", "error", "of which, ms");

  double error() {
    return predicted.seconds() / measured - 1;
  }

  String toRow() {
    return Words.of(
        "%-28s %5d %5d %9.2f %9.2f %+6.1f%%  %s",
        model,
        ranks,
        batch * ranks,
        1e3 * measured,
        1e3 * predicted.seconds(),
        100 * error(),
        terms());
  }

  /** The terms that are not 0; serving and training have different ones. */
  private String terms() {
    return predicted.terms().entrySet().stream()
        .filter(term -> term.getValue() > 0)
        .map(term -> Words.of("%s %.2f", term.getKey().heading(), 1e3 * term.getValue()))
        .collect(Collectors.joining(", "));
  }

  ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", model).put("ranks", ranks).put("texts", batch * ranks);
    json.put("measured_ms", 1e3 * measured).put("predicted_ms", 1e3 * predicted.seconds());
    json.put("error", error());
    json.set("terms", predicted.toJson());
    return json;
  }
}
