package panamoe.lab.study;

import java.util.List;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.io.Words;

/** S4: PR-MoE against its parts and against a standard MoE with many more parameters. */
final class PyramidResidual extends StudyPart {
  private static final double EQUAL = 0.005;
  private static final double NEAR = 0.5;

  private final Variant few;
  private final Variant many;
  private final Variant pyramid;
  private final Variant residual;
  private final Variant both;

  PyramidResidual(StudyBudget budget) {
    super(Claim.S4);
    few = budget.seeds("moe-" + Shapes.FEW, Shapes.moe(Shapes.HIDDEN, Shapes.FEW));
    many = budget.seeds("moe-" + Shapes.MANY, Shapes.moe(Shapes.HIDDEN, Shapes.MANY));
    pyramid = budget.seeds("pyramid", Shapes.pyramid(Shapes.HIDDEN, false));
    residual = budget.seeds("residual", Shapes.residual());
    both = prMoe(budget);
  }

  static Variant prMoe(StudyBudget budget) {
    return budget.seeds("pr-moe", Shapes.pyramid(Shapes.HIDDEN, true));
  }

  @Override
  List<Variant> variants() {
    return List.of(few, many, pyramid, residual, both);
  }

  @Override
  Finding finding(StudyResults results) {
    double best = results.bits(many).mean();
    double gap = results.bits(both).mean() - best;
    double whole = results.bits(few).mean() - best;
    double noise = results.bits(both).noiseBeside(results.bits(many));
    return new Finding(
        Verdict.of(gap <= EQUAL * best, gap <= NEAR * whole),
        Words.of(
            "PR-MoE reaches %s bits per byte, %s %s with %.1f times the parameters: %.2f %% %s. The rule"
                + " compares means: its limit is %.4f bits per byte, and both deviations together are %.4f%s.",
            results.bits(both),
            many.name(),
            results.bits(many),
            ratio(many),
            100 * Math.abs(gap) / best,
            gap < 0 ? "less" : "more",
            EQUAL * best,
            noise,
            noise > EQUAL * best ? ", so that chance may decide" : ""),
        results.table(
            variants(),
            List.of("parameters beside PR-MoE"),
            variant -> List.of(Words.of("%.2f", ratio(variant)))),
        StudyResults.chart(
            "Validation bits per byte",
            "million parameters",
            variants().stream().map(variant -> point(results, variant)).toList()));
  }

  private double ratio(Variant variant) {
    return (double) variant.parameters() / both.parameters();
  }

  private static Curve point(StudyResults results, Variant variant) {
    return new Curve(
        variant.name(),
        new double[] {variant.parameters() / 1e6},
        new double[] {results.bits(variant).mean()},
        Form.POINTS);
  }
}
