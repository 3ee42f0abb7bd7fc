package panamoe.lab.study;

import java.util.List;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;

/** S2: experts in the first half of the layers, or in the second. */
final class LaterExperts implements Part {
  private final Variant first;
  private final Variant second;

  LaterExperts(Budget budget) {
    first = budget.one("first-half", half(List.of(Shapes.FEW, Shapes.FEW, 0, 0)));
    second = budget.one("second-half", half(List.of(0, 0, Shapes.FEW, Shapes.FEW)));
  }

  private static ModelConfig half(List<Integer> experts) {
    return Shapes.model(Shapes.HIDDEN, experts, false, GateConfig.dropless(1));
  }

  @Override
  public String name() {
    return "S2";
  }

  @Override
  public String title() {
    return "Which layers need experts";
  }

  @Override
  public String claim() {
    return "Experts in the second half of the layers are clearly better than in the first half.";
  }

  @Override
  public String rule() {
    return Results.number(
        "The second half is better by more than %.3f bits per byte. Partly: it is better by less.",
        Sample.NOISE);
  }

  @Override
  public List<Variant> variants() {
    return List.of(first, second);
  }

  @Override
  public Finding finding(Results results) {
    Sample early = results.bits(first);
    Sample late = results.bits(second);
    return new Finding(
        Verdict.of(late.clearlyBelow(early), late.mean() < early.mean()),
        Results.number(
            "the second half reaches %s bits per byte, the first half %s: %.4f %s.",
            late,
            early,
            Math.abs(early.mean() - late.mean()),
            late.mean() < early.mean() ? "less" : "more"),
        results.table(variants(), List.of(), _ -> List.of()),
        results.bitsOverTokens(variants()));
  }
}
