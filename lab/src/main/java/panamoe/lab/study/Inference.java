package panamoe.lab.study;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
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

  private static final String DENSE = "dense of equal quality";

  private final int hidden;
  private final Stopwatch stopwatch;
  private final DenseMatch match;
  private final Variant prMoe;
  private final Variant many;

  /**
   * @param hidden width of the MoE models that are timed
   * @param match of the trained models with {@link Shapes#MANY} experts
   */
  Inference(StudyBudget budget, DenseMatch match, int hidden, Stopwatch stopwatch) {
    super(Claim.S8);
    this.hidden = hidden;
    this.stopwatch = stopwatch;
    this.match = match;
    this.prMoe = PyramidResidual.prMoe(budget);
    this.many = TrainingCost.many(budget);
  }

  @Override
  List<Variant> variants() {
    return Stream.concat(match.variants().stream(), Stream.of(many, prMoe)).toList();
  }

  @Override
  List<Variant> next(StudyResults results) {
    return match.next(results);
  }

  /** The trained shapes at the width that is timed, the dense one in proportion. */
  private Map<String, ModelConfig> models(Variant equal) {
    int width = equal.first().config().model().hidden();
    Map<String, ModelConfig> models = new LinkedHashMap<>();
    models.put(DENSE, Shapes.dense(hidden * width / Shapes.HIDDEN));
    models.put(many.name(), Shapes.moe(hidden, Shapes.MANY));
    models.put(prMoe.name(), Shapes.pyramid(hidden, true));
    return models;
  }

  @Override
  Finding finding(StudyResults results) {
    Variant equal = match.match(results);
    Map<String, ModelConfig> models = models(equal);
    double[][] measured = stopwatch.secondsPerStep(List.copyOf(models.values()), BATCHES);
    Map<String, double[]> seconds = new LinkedHashMap<>();
    models.keySet().forEach(name -> seconds.put(name, measured[seconds.size()]));
    double[] dense = seconds.get(DENSE);
    double[] ours = seconds.get(prMoe.name());
    double speedUp = dense[0] / ours[0];
    boolean asGood = results.bits(prMoe).notWorse(results.bits(equal), SeedSample.MARGIN);
    return new Finding(
        Verdict.of(
            asGood && speedUp >= FASTER,
            asGood && speedUp >= PARTLY_FASTER,
            speedUp < PARTLY_FASTER || results.bits(equal).below(results.bits(prMoe))),
        Words.of("%.1f, %.1f, %.1f times", speedUp, dense[1] / ours[1], dense[2] / ours[2]),
        Words.of(
            "PR-MoE is %.1f times as fast as the dense model in proportion to %s at batch 1, %.1f times at 8, %.1f times at 64; trained, they reach %s and %s bits per byte%s.",
            speedUp,
            equal.name(),
            dense[1] / ours[1],
            dense[2] / ours[2],
            results.bits(prMoe),
            results.bits(equal),
            asGood ? "" : ", which are not shown to be equal"),
        table(models, seconds),
        figure(seconds));
  }

  private static StudyTable table(Map<String, ModelConfig> models, Map<String, double[]> seconds) {
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
        models.keySet().stream()
            .map(name -> row(name, models.get(name), seconds.get(name)))
            .toList());
  }

  private static List<String> row(String name, ModelConfig config, double[] seconds) {
    try (LanguageModel model = new LanguageModel(config)) {
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
