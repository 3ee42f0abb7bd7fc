package panamoe.op;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.Supplier;
import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * Load-balancing losses (docs/gating.md, Losses) over more or less than the tokens of one gate
 * call: over a batch that is split over ranks, over each sequence, and over several layers.
 */
public final class BalanceOp {
  private BalanceOp() {}

  /** The terms of a loss: sums over equal parts of a layer's tokens. */
  private record Layer(Pass pass, Balance balance, Routes routes, Sums sums) {
    /**
     * @param normalized whether a token's scores are divided by their sum
     */
    static Layer of(
        Pass pass, GateSettings settings, Routes routes, long sequences, boolean normalized) {
      Balance balance = new Balance(settings.score(), settings.auxiliaryChoices(), normalized);
      Sums sums = Sums.allocate(pass.scope(), sequences, routes.experts());
      pass.backend().balanceForward(balance, routes.scores(), routes.choice(), sums);
      return new Layer(pass, balance, routes, sums);
    }

    /**
     * Replaces the auxiliary loss of the routes by the mean over {@code of} sequences, which may
     * include other ranks'.
     */
    Tensor loss(long of) {
      Tensor loss = routes.losses().rows(0, 1);
      pass.backend().balanceLoss(balance, sums, of, loss);
      return loss;
    }

    /**
     * Records the gradient of the sum of the losses on the tape, if there is one, which then owns
     * this layer's sums.
     *
     * @param dloss derivative of the objective by a sequence's loss
     * @param all gives the sums of the whole loss in the backward
     */
    void record(Tensor logits, double dloss, Supplier<Sums> all) {
      if (dloss != 0) {
        pass.record(
            () -> {
              Tensor dlogits = pass.allocate(DType.FLOAT32, logits.shape());
              pass.backend().balanceBackward(balance, dloss, routes.scores(), all.get(), dlogits);
              pass.tape().addGradient(logits, dlogits);
            },
            sums.used(),
            sums.chosen(),
            sums.scores());
      }
    }
  }

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
    Layer layer = Layer.of(pass, settings, routes, 1, false);
    double mine = layer.sums.used().getInt(0);
    double[] all = addUp(pass, layer.sums, mine, mine * routes.losses().getFloat(1));
    double tokens = all[0];
    layer.loss(1);
    routes.losses().setFloat(1, (float) (tokens == 0 ? 0 : all[1] / tokens));
    // The kernel's z loss is a mean over this part's tokens, and parts differ in tokens.
    float zOfPart = tokens == 0 ? 0 : (float) (zCoefficient * mine / tokens);
    GateOp.record(pass, settings, inputs, routes, 0, zOfPart);
    layer.record(inputs.logits(), auxiliaryCoefficient, layer::sums);
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
    Layer layer = Layer.of(pass, settings, routes, sequences, true);
    long all = Math.max(1, sequences * pass.batch().size()); // without sequences the loss is 0
    pass.batch().allReduce(layer.loss(all));
    layer.record(logits, (double) coefficient / all, layer::sums);
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
    Layer layer = Layer.of(pass, shares, counted, 1, false);
    if (pass.batch().size() > 1) {
      addUp(pass, layer.sums, layer.sums.used().getInt(0), 0);
    }
    pass.layers().add(layer.sums);
    layer.record(logits, coefficient, () -> pass.layers().all(pass.scope()));
  }

  /**
   * Adds up {@code sums} over all ranks of the pass's batch, in the order of the ranks; returns the
   * sums of {@code used} and {@code z}. Waits for the gate, because ranks exchange these 2 E + 2
   * numbers on the host.
   */
  private static double[] addUp(Pass pass, Sums sums, double used, double z) {
    int experts = Math.toIntExact(sums.chosen().size(1));
    double[] mine = new double[2 + 2 * experts];
    mine[0] = used;
    mine[1] = z;
    HostView scores = HostView.of(sums.scores());
    HostView chosen = HostView.of(sums.chosen());
    scores.read();
    chosen.read();
    for (int e = 0; e < experts; e++) {
      mine[2 + e] = scores.memory().getAtIndex(ValueLayout.JAVA_DOUBLE, e);
      mine[2 + experts + e] = chosen.memory().getAtIndex(ValueLayout.JAVA_INT, e);
    }
    double[] all = new double[mine.length];
    long[] gathered =
        pass.batch()
            .allGather(Arrays.stream(mine).mapToLong(Double::doubleToRawLongBits).toArray());
    for (int i = 0; i < gathered.length; i++) {
      all[i % mine.length] += Double.longBitsToDouble(gathered[i]);
    }
    sums.used().setInt(0, (int) all[0]);
    for (int e = 0; e < experts; e++) {
      scores.memory().setAtIndex(ValueLayout.JAVA_DOUBLE, e, all[2 + e]);
      chosen.memory().setAtIndex(ValueLayout.JAVA_INT, e, (int) all[2 + experts + e]);
    }
    scores.write();
    chosen.write();
    return all;
  }
}
