package panamoe.lab.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.StepRecord;
import panamoe.harness.report.StepRecord.LayerRecord;

/**
 * What the study uses of a finished run: little enough to be published, so that every verdict can
 * be checked without training.
 *
 * @param run its name
 * @param parameters of the model
 * @param tokens of the whole run
 * @param evaluations in order
 * @param routing of {@value #PARTS} equal parts of the run, or one per step if it is shorter; empty
 *     for a dense model
 * @param measured values of {@link Measurements} by name
 */
record RunFigures(
    String run,
    long parameters,
    long tokens,
    List<Evaluation> evaluations,
    List<Routing> routing,
    Map<String, Double> measured) {
  private static final int PARTS = 20;

  /** Of the validation text after {@code tokens}. */
  record Evaluation(long tokens, double bitsPerByte) {}

  /**
   * Means over the MoE layers of a part of a run.
   *
   * @param tokens seen at the part's end
   * @param dropRate share of the routes that exceeded the capacity
   * @param fullest load of the fullest expert over the mean
   * @param dead experts without a route
   * @param kept routes of a layer and step that were not dropped
   */
  record Routing(long tokens, double dropRate, double fullest, double dead, double kept) {}

  RunFigures {
    evaluations = List.copyOf(evaluations);
    routing = List.copyOf(routing);
    measured = Map.copyOf(measured);
  }

  static RunFigures of(StudyRun run, List<StepRecord> steps) {
    List<Evaluation> evaluations =
        steps.stream()
            .filter(step -> step.validationBitsPerByte() != null)
            .map(step -> new Evaluation(step.tokens(), step.validationBitsPerByte()))
            .toList();
    int parts = steps.stream().allMatch(step -> step.layers().isEmpty()) ? 0 : PARTS;
    List<Routing> routing = new ArrayList<>();
    for (int i = 0; i < Math.min(parts, steps.size()); i++) {
      int count = Math.min(parts, steps.size());
      routing.add(routing(steps.subList(i * steps.size() / count, (i + 1) * steps.size() / count)));
    }
    return new RunFigures(
        run.name(), run.parameters(), run.tokens(), evaluations, routing, Map.of());
  }

  private static Routing routing(List<StepRecord> steps) {
    return new Routing(
        steps.getLast().tokens(),
        mean(steps, LayerRecord::dropRate),
        mean(
            steps,
            layer -> (double) layer.maxLoad() * layer.experts() / Math.max(1, layer.routes())),
        mean(steps, LayerRecord::deadExperts),
        mean(steps, layer -> layer.routes() * (1 - layer.dropRate())));
  }

  private static double mean(List<StepRecord> steps, ToDoubleFunction<LayerRecord> value) {
    return steps.stream()
        .flatMap(step -> step.layers().stream())
        .mapToDouble(value)
        .average()
        .orElse(0);
  }

  /** With another value of {@link Measurements}. */
  RunFigures with(String name, double value) {
    Map<String, Double> all = new TreeMap<>(measured);
    all.put(name, value);
    return new RunFigures(run, parameters, tokens, evaluations, routing, all);
  }

  /** Whether these are of the run as the study has it now, as far as its size shows. */
  boolean isOf(StudyRun other) {
    return run.equals(other.name()) && parameters == other.parameters() && tokens == other.tokens();
  }
}
