package panamoe.lab.study;

import java.util.List;
import java.util.stream.Stream;
import panamoe.io.Words;

/** S1: an MoE model against the dense model that reaches its loss. */
final class TrainingCost extends StudyPart {
  /** Of the paper's five; the widest dense model of the search costs as much. */
  private static final double MOST = 4;

  private static final double PARTLY = 1.5;

  private final DenseMatch match;
  private final List<Variant> moes;

  TrainingCost(StudyBudget budget, DenseMatch match) {
    super(Claim.S1);
    this.match = match;
    moes = List.of(budget.seeds("moe-4", Shapes.moe(Shapes.HIDDEN, 4)), few(budget), many(budget));
  }

  private static Variant few(StudyBudget budget) {
    return budget.more("moe-" + Shapes.FEW, Shapes.moe(Shapes.HIDDEN, Shapes.FEW));
  }

  static Variant many(StudyBudget budget) {
    return budget.more("moe-" + Shapes.MANY, Shapes.moe(Shapes.HIDDEN, Shapes.MANY));
  }

  @Override
  List<Variant> variants() {
    return Stream.concat(match.variants().stream(), moes.stream()).toList();
  }

  @Override
  List<Variant> next(StudyResults results) {
    return match.next(results);
  }

  @Override
  Finding finding(StudyResults results) {
    Variant moe = moes.getLast();
    Variant dense = match.match(results);
    SeedSample bits = results.bits(moe);
    double ratio = dense.first().flopsPerToken() / moe.first().flopsPerToken();
    boolean better = bits.below(results.bits(match.smallest()));
    String most = match.encloses(results) ? "" : ", which is the end of the search";
    return new Finding(
        Verdict.of(better && ratio >= MOST, better && ratio >= PARTLY, better || ratio < PARTLY),
        Words.of("%.2f times", ratio),
        Words.of(
            "%s reaches %s bits per byte and %s %s%s (%s): after as many tokens it has cost %.2f times the FLOPs of %s, with %.2f times its parameters.",
            moe.name(),
            bits,
            dense.name(),
            results.bits(dense),
            most,
            bits.equivalent(results.bits(dense), SeedSample.MARGIN)
                ? "equal within the margin"
                : "not shown to be equal",
            ratio,
            moe.name(),
            (double) dense.parameters() / moe.parameters()),
        results.table(variants(), List.of(), _ -> List.of()),
        results.bitsOver(
            "TFLOP of training", variants(), variant -> variant.first().flopsPerToken() / 1e12));
  }
}
