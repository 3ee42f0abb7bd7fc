package panamoe.lab.study;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.DoubleStream;
import panamoe.config.GateConfig;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.io.Words;
import panamoe.lab.study.RunFigures.Routing;

/** S7: the capacity factor of an expert. */
final class CapacityFactor extends StudyPart {
  private static final double[] FACTORS = {0.5, 1, 1.5, 2};
  private static final int PAPER = 1;
  private static final int MINIMUM = 4;

  /** The harm, in parts of the bits per byte, up to which the claim holds partly. */
  private static final double SOME = 0.02;

  private final List<Variant> limited;
  private final Variant dropless;

  CapacityFactor(StudyBudget budget) {
    super(Claim.S7);
    limited =
        DoubleStream.of(FACTORS)
            .mapToObj(
                factor ->
                    budget.more("capacity-" + factor, Shapes.gated(Shapes.HIDDEN, gate(factor))))
            .toList();
    dropless = budget.more("moe-" + Shapes.FEW, Shapes.moe(Shapes.HIDDEN, Shapes.FEW));
  }

  /** The paper's gate; evaluation drops like training. */
  static GateConfig gate(double factor) {
    return GateConfig.deepSpeed(1, factor, MINIMUM);
  }

  @Override
  List<Variant> variants() {
    List<Variant> all = new ArrayList<>(limited);
    all.add(dropless);
    return all;
  }

  @Override
  Finding finding(StudyResults results) {
    Variant paper = limited.get(PAPER);
    SeedSample free = results.bits(dropless);
    SeedSample full = results.bits(paper);
    double best = free.mean();
    double loss = full.mean() / best - 1;
    boolean worse = free.below(full);
    double[] bits = limited.stream().mapToDouble(each -> results.bits(each).mean()).toArray();
    double[] line = new double[FACTORS.length];
    Arrays.fill(line, best);
    return new Finding(
        Verdict.of(
            full.notWorse(free, SeedSample.MARGIN),
            worse && full.notWorse(free, SOME * best),
            worse),
        Words.of("%+.2f %%", 100 * loss),
        Words.of(
            "with the factor 1 %.1f %% of the tokens are dropped, and the model reaches %s bits per byte, dropless %s:"
                + " %.2f %% %s.",
            100 * results.atTheEnd(paper, Routing::dropRate),
            results.bits(paper),
            results.bits(dropless),
            100 * Math.abs(loss),
            loss < 0 ? "less" : "more"),
        results.table(
            variants(),
            List.of("dropped"),
            variant ->
                List.of(Words.of("%.2f %%", 100 * results.atTheEnd(variant, Routing::dropRate)))),
        StudyResults.chart(
            "Validation bits per byte",
            "capacity factor",
            List.of(
                new Curve("limited", FACTORS, bits, Form.POINTS),
                new Curve("dropless", FACTORS, line, Form.LINE))));
  }
}
