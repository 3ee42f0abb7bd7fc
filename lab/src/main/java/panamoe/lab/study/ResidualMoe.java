package panamoe.lab.study;

import java.util.List;
import panamoe.config.GateConfig;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.io.Words;
import panamoe.tensor.DType;

/** S3: top-2, or top-1 plus a fixed MLP. */
final class ResidualMoe extends StudyPart {
  private static final double HALF = 0.51;

  private final Variant top1;
  private final Variant top2;
  private final Variant residual;

  ResidualMoe(StudyBudget budget) {
    super(Claim.S3);
    top1 = budget.one("moe-" + Shapes.FEW, Shapes.moe(Shapes.HIDDEN, Shapes.FEW));
    top2 = budget.one("top-2", Shapes.gated(GateConfig.dropless(2)));
    residual = budget.one("residual", Shapes.residual());
  }

  @Override
  List<Variant> variants() {
    return List.of(top1, top2, residual);
  }

  @Override
  Finding finding(StudyResults results) {
    SeedSample one = results.bits(top1);
    SeedSample two = results.bits(top2);
    SeedSample fixed = results.bits(residual);
    double share = bytes(results, residual) / bytes(results, top2);
    return new Finding(
        Verdict.of(
            !two.clearlyBelow(fixed) && share <= HALF, fixed.clearlyBelow(one) && share <= HALF),
        Words.of(
            "residual reaches %s bits per byte, top-2 %s and top-1 %s; residual's all-to-all moves %.0f %% of top-2's"
                + " bytes.",
            fixed, two, one, 100 * share),
        results.table(
            variants(),
            List.of("all-to-all bytes a token and MoE layer, forward"),
            variant -> List.of(Words.of("%.0f", bytes(results, variant)))),
        results.bitsOverTokens(variants()));
  }

  /** Each kept route sends a hidden state to its expert and one back. */
  private static double bytes(StudyResults results, Variant variant) {
    double routes =
        results.atTheEnd(variant, ResidualMoe::kept) / (StudyBudget.BATCH * StudyBudget.SEQUENCE);
    return 2 * routes * Shapes.HIDDEN * DType.FLOAT32.bytes();
  }

  private static double kept(LayerRecord layer) {
    return layer.routes() * (1 - layer.dropRate());
  }
}
