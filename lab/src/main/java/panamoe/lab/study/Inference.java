package panamoe.lab.study;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.config.ModelConfig;
import panamoe.harness.report.LineChart;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.tensor.DType;

/**
 * S8: time and weights of a decoded token. The models have random weights and are wider than the
 * trained ones, so that reading weights dominates.
 */
final class Inference extends StudyPart {
  /** Measures decode steps. */
  @FunctionalInterface
  interface Stopwatch {
    /** Seconds of a decode step, {@code [model][batch]}. */
    double[][] secondsPerStep(List<ModelConfig> models, int[] batches);
  }

  private static final int[] BATCHES = {1, 8, 64};
  private static final double FASTER = 2.4;
  private static final double PARTLY_FASTER = 1.2;

  private static final String DENSE = "dense-larger";
  private static final String STUDENT = "student";

  private final Map<String, ModelConfig> models = new LinkedHashMap<>();
  private final Stopwatch stopwatch;

  /**
   * @param hidden width of the MoE models
   */
  Inference(int hidden, Stopwatch stopwatch) {
    super(Claim.S8);
    this.stopwatch = stopwatch;
    ModelConfig prMoe = Shapes.pyramid(hidden, true);
    models.put(DENSE, Shapes.dense(hidden * Shapes.LARGER / Shapes.HIDDEN));
    models.put("moe-" + Shapes.MANY, Shapes.moe(hidden, Shapes.MANY));
    models.put("pr-moe", prMoe);
    models.put(STUDENT, Shapes.kept(prMoe).config(prMoe));
  }

  @Override
  List<Variant> variants() {
    return List.of();
  }

  @Override
  Finding finding(StudyResults results) {
    double[][] measured = stopwatch.secondsPerStep(List.copyOf(models.values()), BATCHES);
    Map<String, double[]> seconds = new LinkedHashMap<>();
    models.keySet().forEach(name -> seconds.put(name, measured[seconds.size()]));
    double[] dense = seconds.get(DENSE);
    double[] student = seconds.get(STUDENT);
    double speedUp = dense[0] / student[0];
    return new Finding(
        Verdict.of(speedUp >= FASTER, speedUp >= PARTLY_FASTER),
        Words.of(
            "the student is %.1f times as fast as the larger dense model at batch 1, %.1f times at 8, %.1f times at 64.",
            speedUp, dense[1] / student[1], dense[2] / student[2]),
        table(seconds),
        figure(seconds));
  }

  private StudyTable table(Map<String, double[]> seconds) {
    return new StudyTable(
        List.of(
            "model",
            "parameters",
            "ms a token at batch 1",
            "at 8",
            "at 64",
            "MB of weights read at most for a token at batch 1",
            "at 8",
            "at 64"),
        seconds.keySet().stream().map(name -> row(name, seconds.get(name))).toList());
  }

  private List<String> row(String name, double[] seconds) {
    try (LanguageModel model = new LanguageModel(models.get(name))) {
      return List.of(
          name,
          Words.of("%,d", model.parameters().count()),
          Words.of("%.3f", 1e3 * seconds[0] / BATCHES[0]),
          Words.of("%.3f", 1e3 * seconds[1] / BATCHES[1]),
          Words.of("%.3f", 1e3 * seconds[2] / BATCHES[2]),
          megabytes(model, BATCHES[0]),
          megabytes(model, BATCHES[1]),
          megabytes(model, BATCHES[2]));
    }
  }

  /** Counts as many experts as the tokens can choose. */
  private static String megabytes(LanguageModel model, int batch) {
    double bytes = model.cost(Work.decode(batch, 0, DType.FLOAT32)).bytesRead();
    return Words.of("%.1f", bytes / batch / 1e6);
  }

  private static LineChart figure(Map<String, double[]> seconds) {
    double[] dense = seconds.get(DENSE);
    double[] x =
        Arrays.stream(BATCHES).mapToDouble(batch -> Math.log(batch) / Math.log(2)).toArray();
    List<Curve> curves =
        seconds.entrySet().stream()
            .map(
                entry -> {
                  double[] faster = new double[BATCHES.length];
                  Arrays.setAll(faster, i -> dense[i] / entry.getValue()[i]);
                  return new Curve(entry.getKey(), x, faster, Form.POINTS);
                })
            .toList();
    return new LineChart("Times as fast as " + DENSE, "log2 of the batch", curves, 0, 0);
  }
}
