package panamoe.lab.study;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.harness.report.StepRecord;
import panamoe.harness.report.StepRecord.LayerRecord;

/** Made-up metrics of runs: each falls to a given loss. */
final class SyntheticStudy {
  static final StudyBudget BUDGET = StudyBudget.full(1);

  /** Difference between seeds in bits per byte; their mean is the given loss. */
  static final double SEEDS_APART = 0.001;

  private static final int EVALUATIONS = 12;

  private SyntheticStudy() {}

  /**
   * @param outcomes such as {@code dense=2.4} or, with a drop rate, {@code aux-0=2.4/0.3},
   *     separated by blanks
   */
  static StudyResults results(String outcomes) {
    Map<String, double[]> ends = new HashMap<>();
    for (String outcome : outcomes.strip().split("\\s+")) {
      String[] parts = outcome.split("[=/]");
      ends.put(
          parts[0],
          new double[] {
            Double.parseDouble(parts[1]), parts.length > 2 ? Double.parseDouble(parts[2]) : 0
          });
    }
    return new StudyResults(
        run -> {
          int dash = run.name().lastIndexOf('-');
          int seed = Integer.parseInt(run.name().substring(dash + 1));
          double[] end = ends.get(run.name().substring(0, dash));
          return steps(run, end[0] + (seed - 2) * SEEDS_APART, end[1]);
        });
  }

  /** One step record per evaluation, with a linearly falling loss. */
  private static List<StepRecord> steps(StudyRun run, double bits, double dropRate) {
    List<StepRecord> steps = new ArrayList<>();
    for (int i = 1; i <= EVALUATIONS; i++) {
      double now = bits + 0.1 * (EVALUATIONS - i);
      long step = (long) i * run.config().training().schedule().steps() / EVALUATIONS;
      long tokens = step * run.config().training().batch().tokens();
      steps.add(
          new StepRecord(
              step,
              tokens,
              1,
              now,
              1.0,
              1.0,
              1e-3,
              1000,
              null,
              now,
              layers(run.config().model(), dropRate)));
    }
    return steps;
  }

  private static List<LayerRecord> layers(ModelConfig model, double dropRate) {
    List<LayerRecord> layers = new ArrayList<>();
    for (int layer = 0; layer < model.layers(); layer++) {
      if (model.blocks().get(layer).feedForward() instanceof MoeConfig moe) {
        long routes = (long) StudyBudget.BATCH * StudyBudget.SEQUENCE * moe.gate().topK();
        List<Long> counts = Collections.nCopies(moe.experts(), routes / moe.experts());
        layers.add(new LayerRecord(layer, moe.experts(), dropRate, 1.5, counts));
      }
    }
    return layers;
  }
}
