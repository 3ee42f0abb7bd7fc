package panamoe.lab.study;

import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import panamoe.io.Words;

/** S1: MoE models against dense ones of equal FLOPs and of four times the parameters. */
final class TrainingCost extends StudyPart {
  private static final double CLOSED = 0.9;
  private static final double PARTLY_CLOSED = 0.5;

  private final Variant dense;
  private final Variant larger;
  private final List<Variant> moes;

  TrainingCost(StudyBudget budget) {
    super(Claim.S1);
    dense = budget.seeds("dense", Shapes.dense(Shapes.HIDDEN));
    larger = budget.seeds("dense-larger", Shapes.dense(Shapes.LARGER));
    moes =
        Stream.of(4, Shapes.FEW, Shapes.MANY)
            .map(experts -> budget.seeds("moe-" + experts, Shapes.moe(Shapes.HIDDEN, experts)))
            .toList();
  }

  @Override
  List<Variant> variants() {
    return Stream.of(List.of(dense), moes, List.of(larger)).flatMap(List::stream).toList();
  }

  @Override
  Finding finding(StudyResults results) {
    Variant best =
        moes.stream()
            .min(Comparator.comparingDouble(moe -> results.bits(moe).mean()))
            .orElseThrow();
    double moe = results.bits(best).mean();
    double small = results.bits(dense).mean();
    double large = results.bits(larger).mean();
    double closed = small - moe;
    double gap = Math.max(0, small - large);
    double needed = results.tokensTo(larger, moe) * larger.first().flopsPerToken();
    double ratio = needed / (best.first().tokens() * best.first().flopsPerToken());
    String numbers =
        Words.of(
            "%s reaches %s bits per byte, dense %s, and the dense model of %.1f times the parameters %s; %s.",
            best.name(),
            results.bits(best),
            results.bits(dense),
            (double) larger.parameters() / dense.parameters(),
            results.bits(larger),
            Double.isInfinite(ratio)
                ? "which does not come to the MoE model's loss"
                : Words.of(
                    "which needs %.2f times the MoE model's training FLOPs to come to its loss",
                    ratio));
    return new Finding(
        Verdict.of(
            closed > 0 && closed >= CLOSED * gap, closed > 0 && closed >= PARTLY_CLOSED * gap),
        numbers,
        results.table(variants(), List.of(), _ -> List.of()),
        results.bitsOver(
            "TFLOP of training", variants(), variant -> variant.first().flopsPerToken() / 1e12));
  }
}
