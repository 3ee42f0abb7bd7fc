package panamoe.harness.report;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import panamoe.harness.report.HeatMap.Side;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.io.Words;
import panamoe.train.DistillationConfig;

/** Draws the plots of a run. */
record Plots(RunDirectory run) {
  /** The most points of a curve; of more steps, groups are averaged. */
  private static final int CURVE_POINTS = 400;

  /** The most columns of a heat map; of more steps, groups are summed. */
  private static final int HEAT_COLUMNS = 80;

  /** The y axis of a steep curve holds at least this part of the points. */
  private static final double SHOWN = 0.95;

  /** The y axis of a curve with fewer points holds all of them. */
  private static final int LONG_CURVE = 40;

  /**
   * @param caption one sentence that says how to read it
   * @param layer the page shows it while this layer is chosen; null: always
   */
  record Plot(String title, String caption, Svg svg, Integer layer) {}

  List<Plot> learning() {
    Curve validation = curve("validation", Form.POINTS, StepRecord::validationBitsPerByte);
    Curve training = curve("training", Form.SMOOTHED, StepRecord::bitsPerByte);
    return Stream.of(
            steep("Bits per byte", "Lower is better.", training, validation),
            steep(
                run.config().preference() == null
                    ? "Cross-entropy, nats per token"
                    : "Loss, nats per pair of answers",
                "The loss that training minimises.",
                curve("training", Form.SMOOTHED, StepRecord::loss),
                curve("validation", Form.POINTS, StepRecord::validationLoss)),
            steep(
                "Gradient norm",
                "L2 norm of all gradients, before clipping.",
                curve(StepRecord::gradNorm)),
            plot(
                "Learning rate",
                "Linear warm-up, then cosine decay.",
                curve("", Form.LINE, StepRecord::learningRate)),
            plot(
                "Tokens per second",
                "Training speed, validation not counted.",
                curve(StepRecord::tokensPerS)))
        .filter(Objects::nonNull)
        .toList();
  }

  /** What the model prefers; nothing without pairs of answers. */
  List<Plot> preferences() {
    return Stream.of(
            plot(
                "Margin",
                "How much more than its reference the model prefers the chosen answers; beta is in it.",
                curve("training", Form.SMOOTHED, StepRecord::rewardMargin),
                curve("validation", Form.POINTS, StepRecord::validationRewardMargin)),
            plot(
                "Pairs whose margin is above 0, %",
                "50 % is chance.",
                curve("training", Form.SMOOTHED, step -> percent(step.pairAccuracy())),
                curve("validation", Form.POINTS, step -> percent(step.validationPairAccuracy()))))
        .filter(Objects::nonNull)
        .toList();
  }

  private static Double percent(Double share) {
    return share == null ? null : 100 * share;
  }

  /** Divergence from the teacher and its weight in the loss; nothing without a teacher. */
  List<Plot> distillation() {
    DistillationConfig distillation = run.config().distillation();
    int total = run.config().training().schedule().steps();
    return distillation == null
        ? List.of()
        : Stream.of(
                plot(
                    "KL(teacher || student), nats per token",
                    "Distance of the student's predictions from its teacher's.",
                    curve(StepRecord::divergence)),
                plot(
                    "Weight of the divergence in the loss",
                    "The first stage learns from the teacher, the second from the text alone.",
                    curve("", Form.LINE, step -> distillation.alpha(step.step() - 1, total))))
            .filter(Objects::nonNull)
            .toList();
  }

  /** Balance, entropy, drops and dead experts of the MoE layers. */
  List<Plot> balance() {
    Curve lowest =
        curve(
            "lowest layer",
            Form.SMOOTHED,
            step ->
                step.layers().stream()
                    .map(LayerRecord::relativeEntropy)
                    .filter(_ -> step.layers().size() > 1)
                    .min(Comparator.naturalOrder())
                    .orElse(null));
    return Stream.of(
            steep(
                "Auxiliary (load balancing) loss",
                "Mean over the MoE layers, before its coefficient; 1 is perfect balance.",
                curve(StepRecord::auxLoss)),
            plot(
                "Router entropy ÷ ln(experts)",
                "1: a token's probabilities are uniform; 0: the router is certain.",
                mean("mean of layers", LayerRecord::relativeEntropy),
                lowest),
            plot(
                "Dropped routes and dead experts, %",
                "Routes over an expert's capacity; experts without a token in the step. No curve: always 0.",
                mean("dropped routes", layer -> 100 * layer.dropRate()),
                mean("dead experts", layer -> 100.0 * layer.deadExperts() / layer.experts())))
        .filter(Objects::nonNull)
        .toList();
  }

  /** The load of each expert over the steps, a plot for each MoE layer. */
  List<Plot> loads() {
    List<List<StepRecord>> groups = groups(run.steps(), HEAT_COLUMNS);
    List<Long> firsts = groups.stream().map(group -> group.getFirst().step()).toList();
    List<LayerRecord> layers = run.steps().getLast().layers();
    return IntStream.range(0, layers.size())
        .mapToObj(
            index -> {
              LayerRecord layer = layers.get(index);
              double[][] heat = new double[layer.experts()][groups.size()];
              for (int column = 0; column < groups.size(); column++) {
                double[] shares = shares(tokens(groups.get(column), index));
                for (int expert = 0; expert < shares.length; expert++) {
                  heat[expert][column] = shares[expert];
                }
              }
              HeatMap map =
                  new HeatMap(
                      "Expert load, layer " + layer.layer(),
                      Side.rows("expert", indices(layer.experts())),
                      Side.counting("step", firsts, last()),
                      heat);
              String caption = "Tokens that chose each expert, over the steps.";
              return plot(layer.layer(), caption, map);
            })
        .toList();
  }

  /** The share of each language's tokens that each expert takes, a plot for each MoE layer. */
  List<Plot> languages(Routing routing) {
    return routing.layers().stream()
        .map(
            layer -> {
              HeatMap map =
                  new HeatMap(
                      "Experts by language, layer " + layer.layer(),
                      Side.rows("language", routing.languages()),
                      Side.columns("expert", indices(layer.experts())),
                      Arrays.stream(layer.tokens()).map(Plots::shares).toArray(double[][]::new));
              String caption =
                  Words.of(
                      "Share of each language's tokens that each expert takes; the even share is %.1f\u00a0%%.",
                      100.0 / layer.experts());
              return plot(layer.layer(), caption, map);
            })
        .toList();
  }

  private static Plot plot(int layer, String caption, HeatMap map) {
    return new Plot(map.title(), caption, map.draw(map.title() + ". " + caption), layer);
  }

  /** Curves whose first steps or peaks would flatten the rest: the y axis holds the rest. */
  private Plot steep(String title, String caption, Curve... curves) {
    double[] sorted =
        Arrays.stream(curves).flatMapToDouble(c -> Arrays.stream(c.y())).sorted().toArray();
    if (sorted.length == 0) {
      return null;
    }
    double top = sorted[(int) (SHOWN * (sorted.length - 1))];
    boolean cut =
        sorted.length >= LONG_CURVE
            && sorted[sorted.length - 1] - sorted[0] > 2 * (top - sorted[0]);
    String more = cut ? " Peaks above the scale are cut off." : "";
    return plot(title, caption + more, sorted[0], cut ? top : 0, curves);
  }

  private Plot plot(String title, String caption, Curve... curves) {
    return plot(title, caption, 0, 0, curves);
  }

  /** Curves that have values above 0; null if no curve has. */
  private Plot plot(String title, String caption, double from, double to, Curve... curves) {
    List<Curve> some =
        Arrays.stream(curves).filter(c -> Arrays.stream(c.y()).anyMatch(y -> y > 0)).toList();
    if (some.isEmpty()) {
      return null;
    }
    LineChart chart = new LineChart(title, "step", some, from, to, last());
    return new Plot(title, caption, chart.draw(title + ". " + caption), null);
  }

  private long last() {
    return run.steps().getLast().step();
  }

  /** A curve of the mean over the MoE layers. */
  private Curve mean(String name, ToDoubleFunction<LayerRecord> value) {
    return curve(
        name, Form.SMOOTHED, step -> step.layers().stream().mapToDouble(value).average().orElse(0));
  }

  private Curve curve(Function<StepRecord, Double> value) {
    return curve("", Form.SMOOTHED, value);
  }

  /**
   * A curve over the steps.
   *
   * @param value null for a step without
   */
  private Curve curve(String name, Form form, Function<StepRecord, Double> value) {
    List<StepRecord> steps =
        run.steps().stream().filter(step -> value.apply(step) != null).toList();
    List<List<StepRecord>> groups = groups(steps, CURVE_POINTS);
    return new Curve(
        name,
        groups.stream().mapToDouble(group -> group.getLast().step()).toArray(),
        groups.stream()
            .mapToDouble(group -> group.stream().mapToDouble(value::apply).average().orElseThrow())
            .toArray(),
        form);
  }

  /** Each expert's tokens over some steps, in the MoE layer at {@code index}. */
  private static long[] tokens(List<StepRecord> steps, int index) {
    long[] tokens = new long[steps.getFirst().layers().get(index).experts()];
    for (StepRecord step : steps) {
      List<Long> counts = step.layers().get(index).counts();
      Arrays.setAll(tokens, expert -> tokens[expert] + counts.get(expert));
    }
    return tokens;
  }

  /** Tokens of each expert over the even share. */
  private static double[] shares(long[] tokens) {
    double even = Math.max(1, LongStream.of(tokens).sum()) / (double) tokens.length;
    return LongStream.of(tokens).mapToDouble(taken -> taken / even).toArray();
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
