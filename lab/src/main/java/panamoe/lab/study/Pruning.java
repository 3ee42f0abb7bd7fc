package panamoe.lab.study;

import java.util.ArrayList;
import java.util.List;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.io.Words;

/** S10: experts pruned by their load, or by their router-weighted activation. */
final class Pruning extends StudyPart {
  private static final int[] PERCENTS = {25, 50};

  private final Measurements measurements;
  private final Variant whole;

  Pruning(StudyBudget budget, Measurements measurements) {
    super(Claim.S10);
    this.measurements = measurements;
    whole = TrainingCost.many(budget);
  }

  @Override
  List<Variant> variants() {
    return List.of(whole);
  }

  private SeedSample bits(int percent, String by) {
    return new SeedSample(
        whole.runs().stream().map(run -> measurements.prunedBits(run, percent, by)).toList());
  }

  @Override
  Finding finding(StudyResults results) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of(whole.name(), results.bits(whole).toString(), results.bits(whole).toString()));
    double[] x = new double[PERCENTS.length];
    double[] byLoad = new double[PERCENTS.length];
    double[] byReap = new double[PERCENTS.length];
    List<Verdict> verdicts = new ArrayList<>();
    for (int i = 0; i < PERCENTS.length; i++) {
      SeedSample load = bits(PERCENTS[i], "load");
      SeedSample reap = bits(PERCENTS[i], "reap");
      rows.add(List.of("without " + PERCENTS[i] + " %", load.toString(), reap.toString()));
      x[i] = PERCENTS[i];
      byLoad[i] = load.mean();
      byReap[i] = reap.mean();
      verdicts.add(
          Verdict.of(
              reap.below(load),
              false,
              load.below(reap) || reap.equivalent(load, SeedSample.MARGIN)));
    }
    return new Finding(
        verdicts.getFirst().and(verdicts.getLast()),
        Words.of("%+.4f and %+.4f", byReap[0] - byLoad[0], byReap[1] - byLoad[1]),
        Words.of(
            "without a quarter of the experts the models have %.4f bits per byte by REAP and %.4f by load, without half %.4f and %.4f.",
            byReap[0], byLoad[0], byReap[1], byLoad[1]),
        new StudyTable(List.of("model", "by load", "by REAP"), rows),
        StudyResults.chart(
            "Validation bits per byte",
            "experts pruned, %",
            List.of(
                new Curve("load", x, byLoad, Form.POINTS),
                new Curve("reap", x, byReap, Form.POINTS))));
  }
}
