package panamoe.op;

import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The auxiliary loss whose means are over the tokens of several layers, as transformers computes it
 * (docs/gating.md, Losses). Its gradient in a layer needs the sums of those behind it as well, so
 * the tape forms it when all are known.
 */
public final class LayersLossOp {
  private LayersLossOp() {}

  /**
   * Adds a layer to the pass's sums, and puts the layer's gradient on the tape, where gradients are
   * wanted.
   *
   * @param logits FLOAT32 [S, E], from which the routes came; E is the same in all layers
   * @param coefficient derivative of the objective by the loss
   */
  public static void forward(
      Pass pass, GateSettings settings, Tensor logits, Routes routes, float coefficient) {
    if (pass.layers() == null) {
      return;
    }
    BalanceOp balance = BalanceOp.forward(pass, settings, routes, 1, false);
    Sums sums = balance.sums();
    if (pass.batch().size() > 1) {
      BatchLossOp.addUp(pass, sums, sums.used().getInt(0), 0);
    }
    pass.layers().add(sums);
    if (pass.recording() && coefficient != 0) {
      pass.tape()
          .record(
              () -> {
                Sums all = pass.layers().all(pass.scope());
                Tensor dlogits = pass.allocate(DType.FLOAT32, logits.shape());
                pass.backend()
                    .balanceBackward(balance.balance(), coefficient, routes.scores(), all, dlogits);
                pass.tape().addGradient(logits, dlogits);
              },
              sums.used(),
              sums.chosen(),
              sums.scores());
    }
  }
}
