package panamoe.op;

import java.util.Arrays;
import java.util.function.Supplier;
import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.BalanceKernels.BatchPart;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.GateKernels;
import panamoe.backend.GateKernels.LossGradients;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Load-balancing losses (docs/gating.md, Losses) over more or less than the tokens of one gate
 * call: over a batch that is split over ranks, over each sequence, and over several layers.
 */
public final class BalanceOp {
  private BalanceOp() {}

  /**
   * Like {@link GateOp#forward}, with the losses of the whole batch in {@code Routes.losses}. These
   * are made of means over all ranks' tokens, so that ranks exchange sums, not losses.
   *
   * @param inputs of this part
   * @param auxiliaryCoefficient derivative of the objective by the batch's auxiliary loss
   * @param zCoefficient derivative of the objective by the batch's z loss
   */
  public static Routes ofBatch(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      float auxiliaryCoefficient,
      float zCoefficient) {
    Routes routes = GateOp.choose(pass, settings, inputs);
    Balance balance = new Balance(settings.score(), settings.auxiliaryChoices(), false);
    Tensor parts = gather(pass, balance, routes);
    Sums all = Sums.allocate(pass.scope(), 1, routes.experts());
    pass.backend().balanceJoin(parts, all, routes.losses().rows(1, 2));
    parts.release();
    pass.backend().balanceLoss(balance, all, 1, routes.losses().rows(0, 1));
    GateOp.record(
        pass, settings, inputs, routes, new LossGradients(auxiliaryCoefficient, zCoefficient, all));
    return routes;
  }

  /**
   * The sequence-wise loss (DeepSeek-V3, arXiv 2412.19437, equations 17 to 20), the mean over
   * sequences of each one's loss: replaces the auxiliary loss in {@code routes.losses()}, and
   * records its gradient.
   *
   * @param logits FLOAT32 [S, E] of the routes
   * @param length tokens of a sequence; divides S
   * @param coefficient derivative of the objective by the loss, a mean over the sequences of all
   *     ranks, which have equally many
   */
  public static void ofSequences(
      Pass pass,
      GateSettings settings,
      Tensor logits,
      Routes routes,
      long length,
      float coefficient) {
    long sequences = routes.tokens() / length;
    Balance balance = new Balance(settings.score(), settings.auxiliaryChoices(), true);
    Sums sums = Sums.allocate(pass.scope(), sequences, routes.experts());
    pass.backend().balanceForward(balance, routes.scores(), routes.choice(), sums);
    long all = Math.max(1, sequences * pass.batch().size()); // without sequences the loss is 0
    Tensor loss = routes.losses().rows(0, 1);
    pass.backend().balanceLoss(balance, sums, all, loss);
    pass.batch().allReduce(loss);
    record(
        pass,
        balance,
        (double) coefficient / all,
        logits,
        routes.scores(),
        () -> sums,
        sums.used(),
        sums.chosen(),
        sums.scores());
  }

  /**
   * The loss over the tokens of several layers, like transformers': adds a layer to the pass's
   * sums, and records the layer's gradient if gradients are wanted. The gradient needs the sums of
   * later layers too, so the backward forms it. The loss is of the softmax and its best experts
   * also where the gate has other scores, or chooses with a bias.
   *
   * @param inputs of the gate, from which the routes came; E is the same in all layers
   * @param coefficient derivative of the objective by the loss
   */
  public static void ofLayers(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      Routes routes,
      float coefficient) {
    if (pass.layers() == null) {
      return;
    }
    Tensor logits = inputs.logits();
    GateSettings shares = settings.bySoftmax();
    Routes counted =
        settings.choosesBySoftmax(inputs.bias() != null)
            ? routes
            : GateOp.unlimited(
                pass, shares, new GateKernels.Inputs(logits, inputs.used(), null, null, null));
    Balance balance = new Balance(shares.score(), shares.auxiliaryChoices(), false);
    pass.layers().add(gather(pass, balance, counted));
    record(
        pass,
        balance,
        coefficient,
        logits,
        counted.scores(),
        () -> pass.layers().all(counted.experts()));
  }

  /**
   * Records the gradient of the sum of the losses on the tape, if there is one.
   *
   * @param dloss derivative of the objective by a sequence's loss
   * @param sums gives the sums of the whole loss in the backward
   * @param saved for the backward, which the tape then owns
   */
  private static void record(
      Pass pass,
      Balance balance,
      double dloss,
      Tensor logits,
      Tensor scores,
      Supplier<Sums> sums,
      Tensor... saved) {
    if (dloss != 0) {
      pass.record(
          () -> {
            Tensor dlogits = pass.allocate(DType.FLOAT32, logits.shape());
            pass.backend().balanceBackward(balance, dloss, scores, sums.get(), dlogits);
            pass.tape().addGradient(logits, dlogits);
          },
          saved);
    }
  }

  /** The sums of every rank of the pass's batch, in the order of the ranks; waits for no kernel. */
  private static Tensor gather(Pass pass, Balance balance, Routes routes) {
    BatchPart mine = BatchPart.allocate(pass.scope(), routes.experts());
    pass.backend().balanceForward(balance, routes.scores(), routes.choice(), mine.sums());
    pass.backend().copy(routes.losses().rows(1, 2), mine.z());
    int ranks = pass.batch().size();
    if (ranks == 1) {
      return mine.row();
    }
    Tensor all = pass.allocate(DType.FLOAT64, ranks, mine.row().size(1));
    long[] rows = new long[ranks];
    Arrays.fill(rows, 1);
    pass.batch().allGather(mine.row(), all, rows);
    mine.row().release();
    return all;
  }
}
