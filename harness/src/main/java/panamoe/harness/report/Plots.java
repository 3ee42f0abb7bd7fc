package panamoe.harness.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.Routing.RoutedLayer;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.io.Words;
import panamoe.train.DistillationConfig;

/** Draws the plots of a run. */
final class Plots {
  /**
   * The largest number of points of a curve and columns of a heat map; more steps are averaged in
   * groups.
   */
  private static final int CURVE_POINTS = 400;

  private static final int HEAT_COLUMNS = 80;

  /** The part of a learning curve's points that its axis holds at least. */
  private static final double LEARNING_SHOWN = 0.95;

  /** A curve of fewer points is drawn whole. */
  private static final int LONG_CURVE = 40;

  private Plots() {}

  /** Bits per byte, loss, learning rate and speed over the steps. */
  static List<Plot> curves(RunDirectory run) {
    List<StepRecord> steps = run.steps();
    List<Curve> bits = new ArrayList<>(List.of(curve("training", steps, StepRecord::bitsPerByte)));
    List<StepRecord> evaluated =
        steps.stream().filter(step -> step.validationBitsPerByte() != null).toList();
    if (!evaluated.isEmpty()) {
      bits.add(
          new Curve(
              "validation",
              stepsOf(evaluated),
              values(evaluated, StepRecord::validationBitsPerByte),
              true));
    }
    long last = steps.getLast().step();
    List<Plot> plots = new ArrayList<>();
    plots.add(
        learning(
            "bits-per-byte",
            "Bits per byte",
            "How well the model predicts the text; lower is better.",
            bits,
            last));
    if (!run.worksOnBytes()) { // else it is the curve above in another unit
      plots.add(
          learning(
              "loss",
              "Cross-entropy, nats per token",
              "What training minimises.",
              List.of(curve("training", steps, StepRecord::loss)),
              last));
    }
    plots.add(
        curvePlot(
            "learning-rate",
            "Learning rate",
            "It rises over the warm-up, then falls along a cosine.",
            List.of(curve("", steps, StepRecord::learningRate)),
            last));
    plots.add(
        curvePlot(
            "speed",
            "Tokens per second",
            "How fast training went.",
            List.of(curve("", steps, StepRecord::tokensPerS)),
            last));
    return plots;
  }

  /** Curves that fall fast at first: their axis holds the rest. */
  private static Plot learning(
      String name, String title, String caption, List<Curve> curves, long last) {
    double[] sorted = curves.stream().flatMapToDouble(c -> Arrays.stream(c.y())).sorted().toArray();
    double top = sorted[(int) (LEARNING_SHOWN * (sorted.length - 1))];
    boolean steep = sorted[sorted.length - 1] - sorted[0] > 2 * (top - sorted[0]);
    boolean cut = steep && sorted.length >= LONG_CURVE;
    String told = cut ? caption + " The first steps are above the scale." : caption;
    LineChart chart = new LineChart(title, "step", curves, sorted[0], cut ? top : 0, last);
    return new Plot(name, told, chart.draw(told));
  }

  /**
   * How far the student is from its teacher, and how much that counts; nothing without a teacher.
   */
  static List<Plot> distillation(RunDirectory run) {
    DistillationConfig distillation = run.config().distillation();
    List<StepRecord> asked =
        run.steps().stream().filter(step -> step.divergence() != null).toList();
    if (distillation == null || asked.isEmpty()) {
      return List.of();
    }
    int all = run.config().training().schedule().steps();
    long last = run.steps().getLast().step();
    return List.of(
        curvePlot(
            "divergence",
            "KL(teacher || student), nats per token",
            "How far the student's predictions are from its teacher's.",
            List.of(curve("", asked, StepRecord::divergence)),
            last),
        curvePlot(
            "alpha",
            "Weight of the divergence in the loss",
            "The first stage learns from the teacher, the second from the text alone.",
            List.of(curve("", run.steps(), step -> distillation.alpha(step.step() - 1, all))),
            last));
  }

  /** For each MoE layer, the load of each expert over the steps. */
  static List<Plot> loads(RunDirectory run) {
    List<List<StepRecord>> groups = groups(run.steps(), HEAT_COLUMNS);
    List<Long> columns = groups.stream().map(group -> group.getFirst().step()).toList();
    List<LayerRecord> layers = run.steps().getLast().layers();
    return IntStream.range(0, layers.size())
        .mapToObj(
            index -> {
              int experts = layers.get(index).experts();
              double[][] heat = new double[experts][groups.size()];
              for (int column = 0; column < groups.size(); column++) {
                double[] load = relativeLoad(groups.get(column), index, experts);
                for (int expert = 0; expert < experts; expert++) {
                  heat[expert][column] = load[expert];
                }
              }
              int layer = layers.get(index).layer();
              String caption = "How many tokens chose each expert of layer " + layer + ".";
              long last = run.steps().getLast().step();
              HeatMap map =
                  new HeatMap(
                      "Expert load, layer " + layer,
                      HeatMap.rows("expert", indices(experts)),
                      HeatMap.Side.counting("step", columns, last),
                      heat);
              return new Plot(Words.of("layer-%d-load", layer), caption, map.draw(caption));
            })
        .toList();
  }

  /** For each MoE layer, the share of each language's tokens that each expert takes. */
  static List<Plot> languages(Routing routing) {
    return routing.layers().stream()
        .map(
            layer -> {
              String caption =
                  Words.of(
                      "The part of each language's tokens that each expert of layer %d takes; the even share is %.1f\u00a0%%.",
                      layer.layer(), 100.0 / layer.experts());
              HeatMap map =
                  new HeatMap(
                      "Languages and experts, layer " + layer.layer(),
                      HeatMap.rows("language", routing.languages()),
                      HeatMap.columns("expert", indices(layer.experts())),
                      shares(layer));
              return new Plot(
                  Words.of("layer-%d-languages", layer.layer()), caption, map.draw(caption));
            })
        .toList();
  }

  /** {@code [language][expert]}, the part of the language's tokens over the even share. */
  private static double[][] shares(RoutedLayer layer) {
    return IntStream.range(0, layer.tokens().length)
        .mapToObj(
            language -> {
              double even = Math.max(1.0, layer.tokensOfLanguage(language)) / layer.experts();
              return Arrays.stream(layer.tokens()[language])
                  .mapToDouble(taken -> taken / even)
                  .toArray();
            })
        .toArray(double[][]::new);
  }

  /**
   * @param last step of the run, where all plots end
   */
  private static Plot curvePlot(
      String name, String title, String caption, List<Curve> curves, long last) {
    return new Plot(name, caption, new LineChart(title, "step", curves, 0, last).draw(caption));
  }

  private static Curve curve(
      String name, List<StepRecord> steps, ToDoubleFunction<StepRecord> value) {
    List<List<StepRecord>> groups = groups(steps, CURVE_POINTS);
    double[] means =
        groups.stream()
            .mapToDouble(group -> Arrays.stream(values(group, value)).average().orElseThrow())
            .toArray();
    return new Curve(name, stepsOf(groups.stream().map(List::getLast).toList()), means, false);
  }

  private static double[] stepsOf(List<StepRecord> steps) {
    return values(steps, StepRecord::step);
  }

  private static double[] values(List<StepRecord> steps, ToDoubleFunction<StepRecord> value) {
    return steps.stream().mapToDouble(value).toArray();
  }

  /**
   * Each expert's tokens over some steps divided by the even share, in the layer at {@code index}.
   */
  private static double[] relativeLoad(List<StepRecord> steps, int index, int experts) {
    double[] tokens = new double[experts];
    for (StepRecord step : steps) {
      List<Long> counts = step.layers().get(index).counts();
      for (int expert = 0; expert < experts; expert++) {
        tokens[expert] += counts.get(expert);
      }
    }
    double even = Math.max(1, Arrays.stream(tokens).sum() / experts);
    return Arrays.stream(tokens).map(taken -> taken / even).toArray();
  }

  /** Splits the steps into at most {@code most} groups of about equal length. */
  private static List<List<StepRecord>> groups(List<StepRecord> steps, int most) {
    int count = Math.min(most, steps.size());
    return IntStream.range(0, count)
        .mapToObj(
            i ->
                steps.subList(
                    (int) ((long) i * steps.size() / count),
                    (int) ((long) (i + 1) * steps.size() / count)))
        .toList();
  }

  private static List<Integer> indices(int count) {
    return IntStream.range(0, count).boxed().toList();
  }
}
