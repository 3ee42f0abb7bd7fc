package panamoe.lab.study;

import java.util.List;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.config.GateConfig;
import panamoe.io.Words;
import panamoe.lab.study.RunFigures.Routing;

/** S6: the coefficient of the auxiliary loss, or a correction bias instead of it. */
final class Balancing extends StudyPart {
  private static final double FEWER_DROPS = 0.5;
  private static final double BIAS_RATE = 1e-3;

  private final Variant none;
  private final Variant paper;
  private final List<Variant> variants;

  Balancing(StudyBudget budget) {
    super(Claim.S6);
    none = budget.seeds("aux-0", Shapes.gated(Shapes.HIDDEN, auxiliary(0)));
    paper = budget.more("capacity-1.0", Shapes.gated(Shapes.HIDDEN, CapacityFactor.gate(1)));
    // The verdict does not use the other variants.
    variants =
        List.of(
            none,
            paper,
            budget.seeds("aux-0.1", Shapes.gated(Shapes.HIDDEN, auxiliary(0.1))),
            budget.seeds("bias", Shapes.gated(Shapes.HIDDEN, correctionBias())));
  }

  /** DeepSeek-V3's balancing: a bias on the choice that moves against the load. */
  private static GateConfig correctionBias() {
    return CapacityFactor.gate(1)
        .withChoice(new GateConfig.Choice(1, 1, GroupScore.MAXIMUM, true, GateConfig.Noise.NONE))
        .withLoss(new GateConfig.Loss(false, 0, 0, null, BIAS_RATE, null));
  }

  private static GateConfig auxiliary(double coefficient) {
    return CapacityFactor.gate(1).withAuxiliaryCoefficient(coefficient);
  }

  @Override
  List<Variant> variants() {
    return variants;
  }

  @Override
  Finding finding(StudyResults results) {
    double unbalanced = results.atTheEnd(none, Routing::dropRate);
    double balanced = results.atTheEnd(paper, Routing::dropRate);
    boolean fewer = balanced <= FEWER_DROPS * unbalanced;
    boolean harmless = results.bits(paper).notWorse(results.bits(none), SeedSample.MARGIN);
    boolean harmful = results.bits(none).below(results.bits(paper));
    return new Finding(
        Verdict.of(fewer && harmless, fewer || harmless, harmful || !fewer),
        Words.of("%.1f %% dropped, not %.1f %%", 100 * balanced, 100 * unbalanced),
        Words.of(
            "%.1f %% of the tokens are dropped with 0.01 and %.1f %% with 0, at %s and %s bits per byte.",
            100 * balanced, 100 * unbalanced, results.bits(paper), results.bits(none)),
        results.table(
            variants,
            List.of("dropped", "fullest expert's load", "dead experts"),
            variant ->
                List.of(
                    Words.of("%.2f %%", 100 * results.atTheEnd(variant, Routing::dropRate)),
                    Words.of("%.2f times the mean", results.atTheEnd(variant, Routing::fullest)),
                    Words.of("%.1f", results.atTheEnd(variant, Routing::dead)))),
        StudyResults.chart(
            "Dropped tokens, %",
            "million tokens",
            variants.stream()
                .map(variant -> results.layerCurve(variant, part -> 100 * part.dropRate()))
                .toList()));
  }
}
