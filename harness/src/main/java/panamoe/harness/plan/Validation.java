package panamoe.harness.plan;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.parallel.Ranks;
import panamoe.plan.Cluster;
import panamoe.plan.StepTime;
import panamoe.tensor.DType;

/**
 * Times steps of models that the calibration does not use, and predicts them.
 *
 * @param steps to time
 */
record Validation(Ranks ranks, Backend backend, DType dtype, MeasuredSteps steps) {
  private static final int ROUNDS = 5;

  private record Case(String name, int batch, Probe probe) {}

  private List<Case> cases(MeasuredModels models) {
    List<Case> cases = new ArrayList<>();
    if (steps.serve()) {
      cases.addAll(serving(models));
    }
    if (steps.train()) {
      cases.addAll(training(models));
    }
    return cases;
  }

  private static List<Case> serving(MeasuredModels models) {
    ModelConfig dense = MeasuredModels.dense(768, 12);
    ModelConfig paper = MeasuredModels.everyOther(768, 12, 8, 1);
    ModelConfig narrow = MeasuredModels.everyLayer(1024, 8, 32, 4);
    return List.of(
        new Case("12 layers of 768", 1, models.decode(dense, 1)),
        new Case("12 of 768, 6 with 8 experts", 1, models.decode(paper, 1)),
        new Case("12 of 768, 6 with 8 experts", 8, models.decode(paper, 8)),
        new Case("12 of 768, a prompt of 256", 1, models.prompt(paper, 256)),
        new Case("8 of 1024, 4 of 32 experts", 1, models.decode(narrow, 1)),
        new Case("8 of 1024, 4 of 32 experts", 8, models.decode(narrow, 8)));
  }

  private static List<Case> training(MeasuredModels models) {
    ModelConfig residual = MeasuredModels.residual(384, 6, List.of(8));
    ModelConfig pyramid = MeasuredModels.residual(384, 6, List.of(4, 4, 8));
    ModelConfig narrow = MeasuredModels.everyLayer(512, 4, 16, 4);
    return List.of(
        new Case("trained, 6 of 384, residual", 4, models.train(residual, 4, 256)),
        new Case("trained, pyramid-residual", 2, models.train(pyramid, 2, 512)),
        new Case("trained, 4 of 512, 4 of 16", 2, models.train(narrow, 2, 256)));
  }

  /**
   * Measures, alternating with a calibration. Collective.
   *
   * @param known calibration to use; null to calibrate in each round
   * @return a row per case on rank 0; empty on other ranks
   */
  List<ValidationRow> run(Cluster known, DoubleConsumer progress)
      throws IOException, InterruptedException {
    try (Calibration calibration =
            known == null ? new Calibration(ranks, backend, dtype, steps) : null;
        MeasuredModels models = new MeasuredModels(ranks, backend, dtype)) {
      List<Case> cases = cases(models);
      double[][] measured = new double[cases.size()][ROUNDS];
      StepTime[][] predicted = new StepTime[cases.size()][ROUNDS];
      for (Case each : cases) {
        each.probe.seconds(); // warms up the JIT compiler
        progress.accept(0);
      }
      if (calibration != null) {
        calibration.warmUp(progress);
      }
      for (int round = 0; round < ROUNDS; round++) {
        double before = (double) round / ROUNDS;
        Cluster cluster =
            calibration == null ? known : calibration.measure(1, _ -> progress.accept(before));
        for (int i = 0; i < cases.size(); i++) {
          double seconds = cases.get(i).probe.seconds();
          if (ranks.first()) {
            measured[i][round] = seconds;
            predicted[i][round] = cases.get(i).probe.predicted(cluster);
          }
          progress.accept((round + (i + 1.0) / cases.size()) / ROUNDS);
        }
      }
      return ranks.first() ? rows(cases, measured, predicted) : List.of();
    }
  }

  private List<ValidationRow> rows(List<Case> cases, double[][] measured, StepTime[][] predicted) {
    List<ValidationRow> rows = new ArrayList<>();
    for (int i = 0; i < cases.size(); i++) {
      Case each = cases.get(i);
      StepTime[] sorted = predicted[i].clone();
      Arrays.sort(sorted, Comparator.comparingDouble(StepTime::seconds));
      rows.add(
          new ValidationRow(
              each.name,
              ranks.world().size(),
              each.batch,
              Probe.median(measured[i]),
              sorted[ROUNDS / 2]));
    }
    return rows;
  }
}
