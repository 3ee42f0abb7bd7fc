package panamoe.op;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.HostView;

/**
 * Router logits to routes, with the losses of a batch of which this pass sees a part. The losses
 * are made of means over the used tokens of all ranks, so the ranks' own losses do not add up to
 * them: sums are exchanged first (docs/gating.md, Losses).
 */
public final class BatchLossOp {
  private BatchLossOp() {}

  /**
   * As {@link GateOp#forward}, with the losses of the whole batch in {@code Routes.losses}.
   *
   * @param inputs of this part
   * @param auxiliaryCoefficient derivative of the objective by the batch's auxiliary loss
   * @param zCoefficient derivative of the objective by the batch's z loss
   */
  public static Routes forward(
      Pass pass,
      GateSettings settings,
      GateKernels.Inputs inputs,
      float auxiliaryCoefficient,
      float zCoefficient) {
    Routes routes = GateOp.choose(pass, settings, inputs);
    BalanceOp balance = BalanceOp.forward(pass, settings, routes, 1, false);
    double mine = balance.sums().used().getInt(0);
    double[] all = addUp(pass, balance.sums(), mine, mine * routes.losses().getFloat(1));
    double tokens = all[0];
    balance.loss(1);
    routes.losses().setFloat(1, (float) (tokens == 0 ? 0 : all[1] / tokens));
    // The kernel's z loss is a mean over this part's tokens, of which another may have more.
    float zOfPart = tokens == 0 ? 0 : (float) (zCoefficient * mine / tokens);
    GateOp.record(pass, settings, inputs, routes, 0, zOfPart);
    balance.record(inputs.logits(), auxiliaryCoefficient);
    return routes;
  }

  /**
   * Makes {@code sums} those over all parts of the pass's batch, added in the order of the ranks;
   * gives the sums of {@code used} and {@code z}. On the host: 2 E + 2 numbers, which ranks
   * exchange there, so that it waits for the gate.
   */
  static double[] addUp(Pass pass, Sums sums, double used, double z) {
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
