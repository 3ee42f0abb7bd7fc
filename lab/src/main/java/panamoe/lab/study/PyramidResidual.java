package panamoe.lab.study;

import java.util.List;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.io.Words;

/** S4: PR-MoE against its parts and against a standard MoE with many more parameters. */
final class PyramidResidual extends StudyPart {
  private final Variant few;
  private final Variant many;
  private final Variant pyramid;
  private final Variant residual;
  private final Variant both;

  PyramidResidual(StudyBudget budget) {
    super(Claim.S4);
    few = budget.more("moe-" + Shapes.FEW, Shapes.moe(Shapes.HIDDEN, Shapes.FEW));
    many = budget.more("moe-" + Shapes.MANY, Shapes.moe(Shapes.HIDDEN, Shapes.MANY));
    pyramid = budget.more("pyramid", Shapes.pyramid(Shapes.HIDDEN, false));
    residual = budget.more("residual", Shapes.residual(Shapes.HIDDEN));
    both = prMoe(budget);
  }

  static Variant prMoe(StudyBudget budget) {
    return budget.more("pr-moe", Shapes.pyramid(Shapes.HIDDEN, true));
  }

  @Override
  List<Variant> variants() {
    return List.of(few, many, pyramid, residual, both);
  }

  @Override
  Finding finding(StudyResults results) {
    SeedSample ours = results.bits(both);
    SeedSample best = results.bits(many);
    boolean worse = best.below(ours);
    return new Finding(
        Verdict.of(
            ours.notWorse(best, SeedSample.MARGIN), worse && ours.below(results.bits(few)), worse),
        Words.of("%+.4f with 1/%.1f of the parameters", ours.mean() - best.mean(), ratio(many)),
        Words.of(
            "PR-MoE reaches %s bits per byte, %s %s with %.1f times the parameters, %s %s.",
            ours, many.name(), best, ratio(many), few.name(), results.bits(few)),
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
