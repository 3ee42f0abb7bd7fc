package panamoe.harness.plan;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.parallel.Ranks;
import panamoe.plan.Cluster;
import panamoe.plan.LatencyModel;
import panamoe.plan.Optimizations;
import panamoe.plan.StepTime;
import panamoe.tensor.DType;

/** Steps of models that no constant was measured with, beside their predictions. */
record Validation(Ranks ranks, Backend backend, DType dtype) {
  private static final int ROUNDS = 5;

  /**
   * @param batch texts of each rank, of which a step writes a token each; 1 if it reads a prompt
   * @param prompt tokens of that prompt; 0 if the step writes tokens
   */
  private record Case(String name, ModelConfig config, int batch, int prompt) {}

  private static List<Case> cases() {
    ModelConfig dense = MeasuredModels.dense(768, 12);
    ModelConfig paper = MeasuredModels.everyOther(768, 12, 8, 1);
    ModelConfig narrow = MeasuredModels.everyLayer(1024, 8, 32, 4);
    return List.of(
        new Case("12 layers of 768", dense, 1, 0),
        new Case("12 of 768, 6 with 8 experts", paper, 1, 0),
        new Case("12 of 768, 6 with 8 experts", paper, 8, 0),
        new Case("12 of 768, a prompt of 256", paper, 1, 256),
        new Case("8 of 1024, 4 of 32 experts", narrow, 1, 0),
        new Case("8 of 1024, 4 of 32 experts", narrow, 8, 0));
  }

  /**
   * Measures in turns with a calibration. Collective.
   *
   * @param known the calibration; null to measure it in each round
   * @return a row for each case; none but on rank 0
   */
  List<Validated> run(Cluster known, MeasuringProgress progress)
      throws IOException, InterruptedException {
    List<Case> cases = cases();
    List<StepProbe> probes = new ArrayList<>();
    try (Calibration calibration = known == null ? new Calibration(ranks, backend, dtype) : null;
        MeasuredModels models = new MeasuredModels(ranks, backend, dtype)) {
      for (Case each : cases) {
        probes.add(
            each.prompt == 0
                ? models.decode(each.config, each.batch)
                : models.prompt(each.config, each.prompt));
      }
      double[][] measured = new double[cases.size()][ROUNDS];
      StepTime[][] predicted = new StepTime[cases.size()][ROUNDS];
      for (StepProbe probe : probes) {
        probe.seconds(); // Java compiles what it calls
        progress.reached(0);
      }
      if (calibration != null) {
        calibration.warmUp(progress);
      }
      for (int round = 0; round < ROUNDS; round++) {
        double before = (double) round / ROUNDS;
        Cluster cluster =
            calibration == null ? known : calibration.measure(1, _ -> progress.reached(before));
        for (int i = 0; i < probes.size(); i++) {
          double seconds = probes.get(i).seconds();
          if (ranks.first()) {
            measured[i][round] = seconds;
            predicted[i][round] = probes.get(i).predicted(model(cluster));
          }
          progress.reached((round + (i + 1.0) / probes.size()) / ROUNDS);
        }
      }
      return ranks.first() ? rows(cases, measured, predicted) : List.of();
    }
  }

  private List<Validated> rows(List<Case> cases, double[][] measured, StepTime[][] predicted) {
    List<Validated> rows = new ArrayList<>();
    for (int i = 0; i < cases.size(); i++) {
      Case each = cases.get(i);
      StepTime[] sorted = predicted[i].clone();
      Arrays.sort(sorted, Comparator.comparingDouble(StepTime::seconds));
      StepTime middle = sorted[ROUNDS / 2];
      rows.add(
          new Validated(
              each.name,
              ranks.world().size(),
              each.batch,
              StepProbe.median(measured[i]),
              middle.seconds(),
              middle));
    }
    return rows;
  }

  private static LatencyModel model(Cluster cluster) {
    return new LatencyModel(cluster.node(), cluster.efficiency(), Optimizations.PANAMOE);
  }
}
