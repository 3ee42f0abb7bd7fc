package panamoe.lab.study;

import java.util.List;
import java.util.stream.Stream;
import panamoe.config.GateConfig;
import panamoe.io.Words;
import panamoe.lab.study.RunFigures.Routing;
import panamoe.tensor.DType;

/** S3: top-2, or top-1 plus a fixed MLP, at two widths. */
final class ResidualMoe extends StudyPart {
  private static final double HALF = 0.51;

  /** One width. */
  private record Size(int hidden, Variant top1, Variant top2, Variant residual) {
    static Size of(StudyBudget budget, int hidden) {
      String width = hidden == Shapes.HIDDEN ? "" : "-wide";
      return new Size(
          hidden,
          budget.more("moe-" + Shapes.FEW + width, Shapes.moe(hidden, Shapes.FEW)),
          budget.more("top-2" + width, Shapes.gated(hidden, GateConfig.dropless(2))),
          budget.more("residual" + width, Shapes.residual(hidden)));
    }

    List<Variant> variants() {
      return List.of(top1, top2, residual);
    }

    Verdict verdict(StudyResults results) {
      SeedSample two = results.bits(top2);
      SeedSample fixed = results.bits(residual);
      boolean fewer = bytes(results, residual) <= HALF * bytes(results, top2);
      boolean worse = two.below(fixed);
      return Verdict.of(
          fewer && fixed.notWorse(two, SeedSample.MARGIN),
          fewer && worse && fixed.below(results.bits(top1)),
          worse);
    }

    double difference(StudyResults results) {
      return results.bits(residual).mean() - results.bits(top2).mean();
    }

    String numbers(StudyResults results) {
      return Words.of(
          "at width %d residual reaches %s bits per byte, top-2 %s and top-1 %s",
          hidden, results.bits(residual), results.bits(top2), results.bits(top1));
    }

    /** Each kept route sends a hidden state to its expert and one back. */
    double bytes(StudyResults results, Variant variant) {
      double routes =
          results.atTheEnd(variant, Routing::kept) / (StudyBudget.BATCH * StudyBudget.SEQUENCE);
      return 2 * routes * hidden * DType.FLOAT32.bytes();
    }
  }

  private final Size small;
  private final Size wide;

  ResidualMoe(StudyBudget budget) {
    super(Claim.S3);
    small = Size.of(budget, Shapes.HIDDEN);
    wide = Size.of(budget, Shapes.WIDER);
  }

  @Override
  List<Variant> variants() {
    return Stream.of(small, wide).flatMap(size -> size.variants().stream()).toList();
  }

  @Override
  Finding finding(StudyResults results) {
    return new Finding(
        small.verdict(results).and(wide.verdict(results)),
        Words.of("%+.4f and %+.4f", small.difference(results), wide.difference(results)),
        small.numbers(results) + "; " + wide.numbers(results) + ".",
        results.table(
            variants(),
            List.of("all-to-all bytes a token and MoE layer, forward"),
            variant -> List.of(Words.of("%.0f", sizeOf(variant).bytes(results, variant)))),
        results.bitsOverTokens(variants()));
  }

  private Size sizeOf(Variant variant) {
    return small.variants().contains(variant) ? small : wide;
  }
}
