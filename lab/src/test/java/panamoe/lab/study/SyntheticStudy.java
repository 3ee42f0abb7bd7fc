package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
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

  /** Largest difference of a seed from the mean, in bits per byte. */
  static final double SEEDS_APART = 0.001;

  /** By seed, from 1: the first three and all five have a mean of 0. */
  private static final int[] OFFSETS = {-1, 0, 1, -1, 1};

  private static final int EVALUATIONS = 12;

  /**
   * @param bits of a run
   * @param dropRate of all its MoE layers
   */
  private record Outcome(double bits, double dropRate) {}

  private final Map<String, Outcome> ends = new HashMap<>();

  /**
   * @param outcomes such as {@code dense-64=2.4} or, with a drop rate, {@code aux-0=2.4/0.3},
   *     separated by blanks. Between dense-64 and dense-144 the loss is linear in the width.
   */
  SyntheticStudy(String outcomes) {
    for (String outcome : outcomes.strip().split("\\s+")) {
      String[] parts = outcome.split("[=/]");
      double drops = parts.length > 2 ? Double.parseDouble(parts[2]) : 0;
      ends.put(parts[0], new Outcome(Double.parseDouble(parts[1]), drops));
    }
  }

  StudyResults results() {
    return new StudyResults(
        run -> {
          Outcome end = end(variant(run));
          return RunFigures.of(run, steps(run, end.bits + offset(run), end.dropRate));
        });
  }

  /** Bits of {@code NAME-without-25-by-reap}, or 9; a half of the tasks and a bit are solved. */
  Measurements measurements() {
    return new Measurements() {
      @Override
      public double accuracy(StudyRun run) {
        return 0.5 + offset(run);
      }

      @Override
      public double prunedBits(StudyRun run, int percent, String by) {
        String name = variant(run) + "-without-" + percent + "-by-" + by;
        return ends.getOrDefault(name, new Outcome(9, 0)).bits + offset(run);
      }
    };
  }

  /** All parts, with models that decode in these seconds: dense, many experts, PR-MoE. */
  List<StudyPart> parts(double... seconds) {
    return StudyCommand.parts(
        BUDGET,
        (models, batches) -> {
          double[][] all = new double[models.size()][batches.length];
          for (int model = 0; model < all.length; model++) {
            Arrays.fill(all[model], seconds.length == 0 ? 1 : seconds[model]);
          }
          return all;
        },
        measurements());
  }

  /** A part's finding, once all variants that it asks for are there. */
  Finding finding(StudyPart part) {
    StudyResults results = results();
    int asked = 0;
    while (!part.next(results).isEmpty()) {
      assertTrue(asked++ < 10, "the part asks for runs without an end");
    }
    return part.finding(results);
  }

  Finding finding(String name, double... seconds) {
    return finding(part(name, seconds));
  }

  StudyPart part(String name, double... seconds) {
    return parts(seconds).stream()
        .filter(part -> part.claim().name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private Outcome end(String name) {
    if (name.startsWith("dense-") && !ends.containsKey(name)) {
      double width = Double.parseDouble(name.substring("dense-".length()));
      double part = (width - Shapes.HIDDEN) / (Shapes.LARGER - Shapes.HIDDEN);
      double narrow = ends.get("dense-" + Shapes.HIDDEN).bits;
      double wide = ends.get("dense-" + Shapes.LARGER).bits;
      return new Outcome(narrow + part * (wide - narrow), 0);
    }
    return ends.get(name);
  }

  private static double offset(StudyRun run) {
    return OFFSETS[(int) run.config().seed() - 1] * SEEDS_APART;
  }

  private static String variant(StudyRun run) {
    return run.name().substring(0, run.name().lastIndexOf('-'));
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
              null,
              null,
              now,
              null,
              null,
              null,
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
