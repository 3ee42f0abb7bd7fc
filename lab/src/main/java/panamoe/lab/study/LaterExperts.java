package panamoe.lab.study;

import java.util.List;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.io.Words;

/** S2: experts in the first half of the layers, or in the second. */
final class LaterExperts extends StudyPart {
  private final Variant first;
  private final Variant second;

  LaterExperts(StudyBudget budget) {
    super(Claim.S2);
    first = budget.seeds("first-half", half(List.of(Shapes.FEW, Shapes.FEW, 0, 0)));
    second = budget.seeds("second-half", half(List.of(0, 0, Shapes.FEW, Shapes.FEW)));
  }

  private static ModelConfig half(List<Integer> experts) {
    return Shapes.model(Shapes.HIDDEN, experts, false, GateConfig.dropless(1));
  }

  @Override
  List<Variant> variants() {
    return List.of(first, second);
  }

  @Override
  Finding finding(StudyResults results) {
    SeedSample early = results.bits(first);
    SeedSample late = results.bits(second);
    return new Finding(
        Verdict.of(late.below(early), false, early.below(late)),
        Words.of("%.4f less", early.mean() - late.mean()),
        Words.of(
            "the second half reaches %s bits per byte, the first half %s: %.4f %s.",
            late,
            early,
            Math.abs(early.mean() - late.mean()),
            late.mean() < early.mean() ? "less" : "more"),
        results.table(variants(), List.of(), _ -> List.of()),
        results.bitsOverTokens(variants()));
  }
}
