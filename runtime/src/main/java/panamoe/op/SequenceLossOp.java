package panamoe.op;

import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.Tensor;

/**
 * The sequence-wise auxiliary loss (DeepSeek-V3, arXiv 2412.19437, equations 17 to 20): each
 * sequence's own balance, as the mean over sequences (docs/gating.md, Losses).
 */
public final class SequenceLossOp {
  private SequenceLossOp() {}

  /**
   * Replaces the auxiliary loss in {@code routes.losses()}, and puts its gradient on the tape.
   *
   * @param logits FLOAT32 [S, E]
   * @param length tokens of a sequence; divides S
   * @param coefficient derivative of the objective by the loss, the mean over the sequences of all
   *     ranks, which have as many each
   */
  public static void forward(
      Pass pass,
      GateSettings settings,
      Tensor logits,
      Routes routes,
      long length,
      float coefficient) {
    long sequences = routes.tokens() / length;
    BalanceOp balance = BalanceOp.forward(pass, settings, routes, sequences, true);
    long all = Math.max(1, sequences * pass.batch().size()); // the loss of no sequence is 0
    pass.batch().allReduce(balance.loss(all));
    balance.record(logits, (double) coefficient / all);
  }
}
