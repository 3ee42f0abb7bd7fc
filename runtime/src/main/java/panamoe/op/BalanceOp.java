package panamoe.op;

import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** The sums that load-balancing losses are made of, such a loss, and its gradient. */
record BalanceOp(Pass pass, Balance balance, Routes routes, Sums sums) {

  /**
   * Sums over each of {@code sequences} equal parts of the tokens.
   *
   * @param normalized whether a token's scores are divided by their sum
   */
  static BalanceOp forward(
      Pass pass, GateSettings settings, Routes routes, long sequences, boolean normalized) {
    Balance balance = new Balance(settings.score(), settings.auxiliaryChoices(), normalized);
    Sums sums = Sums.allocate(pass.scope(), sequences, routes.experts());
    pass.backend().balanceForward(balance, routes.scores(), routes.choice(), sums);
    return new BalanceOp(pass, balance, routes, sums);
  }

  /**
   * Replaces the auxiliary loss of the routes by the mean over {@code of} sequences, which may be
   * more than are here.
   */
  Tensor loss(long of) {
    Tensor loss = routes.losses().rows(0, 1);
    pass.backend().balanceLoss(balance, sums, of, loss);
    return loss;
  }

  /**
   * Puts the gradient of the sum of the losses on the tape, if there is one; the sums, as they are
   * now, go with it.
   *
   * @param logits FLOAT32 [S, E], from which the routes came
   * @param dloss derivative of the objective by a sequence's loss
   */
  void record(Tensor logits, double dloss) {
    if (pass.recording() && dloss != 0) {
      pass.tape()
          .record(
              () -> {
                Tensor dlogits = pass.allocate(DType.FLOAT32, logits.shape());
                pass.backend().balanceBackward(balance, dloss, routes.scores(), sums, dlogits);
                pass.tape().addGradient(logits, dlogits);
              },
              sums.used(),
              sums.chosen(),
              sums.scores());
    }
  }
}
