package panamoe.harness.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.harness.report.HeatMap.Side;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.harness.report.Routing.RoutedLayer;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.io.Words;
import panamoe.train.DistillationConfig;

/** Draws the plots of a run. */
final class Plots {
  /** The most points of a curve; of more steps, groups are averaged. */
  private static final int CURVE_POINTS = 400;

  /** The most columns of a heat map; of more steps, groups are summed. */
  private static final int HEAT_COLUMNS = 80;

  /** The y axis of a learning curve holds at least this part of the points. */
  private static final double LEARNING_SHOWN = 0.95;

  /** The y axis of a curve with fewer points holds all of them. */
  private static final int LONG_CURVE = 40;

  private final RunDirectory run;
  private final List<StepRecord> steps;

  /** Where the x axes end. */
  private final long last;

  Plots(RunDirectory run) {
    this.run = run;
    this.steps = run.steps();
    this.last = steps.getLast().step();
  }

  List<Plot> learning() {
    List<Plot> plots = new ArrayList<>();
    List<Curve> bits = new ArrayList<>(List.of(curve("training", StepRecord::bitsPerByte)));
    List<StepRecord> evaluated =
        steps.stream().filter(step -> step.validationBitsPerByte() != null).toList();
    if (!evaluated.isEmpty()) {
      double[] y = values(evaluated, StepRecord::validationBitsPerByte);
      bits.add(new Curve("validation", values(evaluated, StepRecord::step), y, Form.POINTS));
    }
    plots.add(learning("bits-per-byte", "Bits per byte", "Lower is better.", bits));
    if (!run.worksOnBytes()) { // else it is the curve above in another unit
      plots.add(
          learning(
              "loss",
              "Cross-entropy, nats per token",
              "The loss that training minimises.",
              List.of(curve("", StepRecord::loss))));
    }
    if (steps.stream().allMatch(step -> step.gradNorm() != null)) {
      plots.add(
          learning(
              "gradient-norm",
              "Gradient norm",
              "L2 norm of all gradients, before clipping.",
              List.of(curve("", StepRecord::gradNorm))));
    }
    plots.add(
        plot(
            "learning-rate",
            "Learning rate",
            "Linear warm-up, then cosine decay.",
            new Curve("", all(StepRecord::step), all(StepRecord::learningRate), Form.LINE)));
    plots.add(
        plot(
            "speed",
            "Tokens per second",
            "Training speed, validation not counted.",
            curve("", StepRecord::tokensPerS)));
    return plots;
  }

  /** Curves that fall fast at first: their axis holds the rest. */
  private Plot learning(String name, String title, String caption, List<Curve> curves) {
    double[] sorted = curves.stream().flatMapToDouble(c -> Arrays.stream(c.y())).sorted().toArray();
    double top = sorted[(int) (LEARNING_SHOWN * (sorted.length - 1))];
    boolean steep = sorted[sorted.length - 1] - sorted[0] > 2 * (top - sorted[0]);
    boolean cut = steep && sorted.length >= LONG_CURVE;
    String whole = cut ? caption + " Peaks above the scale are cut off." : caption;
    LineChart chart = new LineChart(title, "step", curves, sorted[0], cut ? top : 0, last);
    return new Plot(name, whole, chart.draw(title + ". " + whole));
  }

  /** Divergence from the teacher and its weight in the loss; nothing without a teacher. */
  List<Plot> distillation() {
    DistillationConfig distillation = run.config().distillation();
    List<StepRecord> distilled = steps.stream().filter(step -> step.divergence() != null).toList();
    if (distillation == null || distilled.isEmpty()) {
      return List.of();
    }
    int total = run.config().training().steps();
    double[] alpha = all(step -> distillation.alpha(step.step() - 1, total));
    return List.of(
        plot(
            "divergence",
            "KL(teacher || student), nats per token",
            "Distance of the student's predictions from its teacher's.",
            curve("", distilled, StepRecord::divergence)),
        plot(
            "alpha",
            "Weight of the divergence in the loss",
            "The first stage learns from the teacher, the second from the text alone.",
            new Curve("", all(StepRecord::step), alpha, Form.LINE)));
  }

  /** Balance, entropy, drops and dead experts of the MoE layers. */
  List<Plot> balance() {
    boolean several = layers().size() > 1;
    List<Plot> plots = new ArrayList<>();
    if (steps.stream().allMatch(step -> step.auxLoss() != null)) {
      plots.add(
          learning(
              "auxiliary-loss",
              "Auxiliary (load balancing) loss",
              "Mean over the MoE layers, before its coefficient; 1 is perfect balance.",
              List.of(curve("", StepRecord::auxLoss))));
    }
    List<Curve> entropy = new ArrayList<>();
    entropy.add(
        curve(several ? "mean of layers" : "", step -> mean(step, LayerRecord::relativeEntropy)));
    if (several) {
      entropy.add(
          curve(
              "lowest layer",
              step ->
                  step.layers().stream()
                      .mapToDouble(LayerRecord::relativeEntropy)
                      .min()
                      .orElseThrow()));
    }
    plots.add(
        plot(
            "router-entropy",
            "Router entropy ÷ ln(experts)",
            "1: a token's probabilities are uniform; 0: the router is certain.",
            entropy.toArray(Curve[]::new)));
    if (steps.stream().anyMatch(step -> unused(step) > 0)) {
      plots.add(
          plot(
              "drops",
              "Dropped routes and dead experts, %",
              "Routes over an expert's capacity; experts without a token in the step.",
              curve("dropped routes", step -> 100 * mean(step, LayerRecord::dropRate)),
              curve("dead experts", step -> 100 * mean(step, Plots::dead))));
    }
    return plots;
  }

  private static double unused(StepRecord step) {
    return mean(step, LayerRecord::dropRate) + mean(step, Plots::dead);
  }

  private static double dead(LayerRecord layer) {
    return (double) layer.deadExperts() / Math.max(1, layer.experts());
  }

  private static double mean(StepRecord step, ToDoubleFunction<LayerRecord> value) {
    return step.layers().stream().mapToDouble(value).average().orElse(0);
  }

  private List<LayerRecord> layers() {
    return steps.getLast().layers();
  }

  /** The load of each expert over the steps, a plot for each MoE layer. */
  List<Plot> loads() {
    List<List<StepRecord>> groups = groups(steps, HEAT_COLUMNS);
    Side columns =
        Side.counting("step", groups.stream().map(group -> group.getFirst().step()).toList(), last);
    return IntStream.range(0, layers().size())
        .mapToObj(
            index -> {
              LayerRecord layer = layers().get(index);
              double[][] heat = new double[layer.experts()][groups.size()];
              for (int column = 0; column < groups.size(); column++) {
                long[] tokens = tokens(groups.get(column), index, layer.experts());
                double even = Math.max(1, LongStream.of(tokens).average().orElse(0));
                for (int expert = 0; expert < tokens.length; expert++) {
                  heat[expert][column] = tokens[expert] / even;
                }
              }
              String title = "Expert load, layer " + layer.layer();
              HeatMap map =
                  new HeatMap(title, Side.rows("expert", indices(layer.experts())), columns, heat);
              String caption = "Tokens that chose each expert, over the steps.";
              String name = Words.of("layer-%d-load", layer.layer());
              return new Plot(name, caption, map.draw(title + ". " + caption), layer.layer());
            })
        .toList();
  }

  /** The share of each language's tokens that each expert takes, a plot for each MoE layer. */
  List<Plot> languages(Routing routing) {
    return routing.layers().stream()
        .map(
            layer -> {
              String title = "Experts by language, layer " + layer.layer();
              HeatMap map =
                  new HeatMap(
                      title,
                      Side.rows("language", routing.languages()),
                      Side.columns("expert", indices(layer.experts())),
                      shares(layer));
              String caption =
                  Words.of(
                      "Share of each language's tokens that each expert takes; the even share is %.1f\u00a0%%.",
                      100.0 / layer.experts());
              String name = Words.of("layer-%d-languages", layer.layer());
              return new Plot(name, caption, map.draw(title + ". " + caption), layer.layer());
            })
        .toList();
  }

  /** {@code [language][expert]}, the part of the language's tokens over the even share. */
  private static double[][] shares(RoutedLayer layer) {
    return IntStream.range(0, layer.tokens().length)
        .mapToObj(
            language -> {
              double even = Math.max(1.0, layer.tokensOfLanguage(language)) / layer.experts();
              return LongStream.of(layer.tokens()[language])
                  .mapToDouble(taken -> taken / even)
                  .toArray();
            })
        .toArray(double[][]::new);
  }

  private Plot plot(String name, String title, String caption, Curve... curves) {
    LineChart chart = new LineChart(title, "step", List.of(curves), 0, last);
    return new Plot(name, caption, chart.draw(title + ". " + caption));
  }

  private Curve curve(String name, ToDoubleFunction<StepRecord> value) {
    return curve(name, steps, value);
  }

  private static Curve curve(
      String name, List<StepRecord> steps, ToDoubleFunction<StepRecord> value) {
    List<List<StepRecord>> groups = groups(steps, CURVE_POINTS);
    double[] x = groups.stream().mapToDouble(group -> group.getLast().step()).toArray();
    double[] y =
        groups.stream()
            .mapToDouble(group -> Arrays.stream(values(group, value)).average().orElseThrow())
            .toArray();
    return new Curve(name, x, y, Form.SMOOTHED);
  }

  private double[] all(ToDoubleFunction<StepRecord> value) {
    return values(groups(steps, CURVE_POINTS).stream().map(List::getLast).toList(), value);
  }

  private static double[] values(List<StepRecord> steps, ToDoubleFunction<StepRecord> value) {
    return steps.stream().mapToDouble(value).toArray();
  }

  /** Each expert's tokens over some steps, in the MoE layer at {@code index}. */
  private static long[] tokens(List<StepRecord> steps, int index, int experts) {
    long[] tokens = new long[experts];
    for (StepRecord step : steps) {
      List<Long> counts = step.layers().get(index).counts();
      Arrays.setAll(tokens, expert -> tokens[expert] + counts.get(expert));
    }
    return tokens;
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
