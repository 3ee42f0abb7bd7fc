package panamoe.lab.conformance.megablocks;

import java.util.stream.LongStream;
import panamoe.backend.Activation;
import panamoe.backend.CombineKernels;
import panamoe.backend.GateKernels;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.lab.conformance.replay.Replay;
import panamoe.moe.Experts;
import panamoe.nn.Linear;
import panamoe.op.AddOp;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.ExpertOp;
import panamoe.op.GateOp;
import panamoe.op.NormOp;
import panamoe.op.Pass;
import panamoe.parallel.Ranks;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * An MoE layer composed of its operators, for two rules that no configuration has: weights
 * normalised other than by their sum, and experts gated by another activation than SiLU.
 */
final class ComposedLayer implements MegaBlocksCases.Layer {
  private final Replay replay;
  private final Tensor gamma;
  private final Linear router;
  private final GateConfig gate;
  private final Mlps experts;
  private final Mlps shared;

  /** The MLPs of several experts: rows [R, M] grouped by expert, offsets INT32 [E + 1]. */
  private interface Mlps {
    Tensor forward(Pass pass, Tensor rows, Tensor offsets);
  }

  /**
   * Declares {@code gate}, {@code experts} and, where the config has one, {@code shared}.
   *
   * @param gated true if {@code activation(gate x) * up x} enters the last matrix
   * @param gamma of an RMSNorm over a token's weights [K]; null for unchanged weights
   */
  ComposedLayer(
      Replay replay, Declarations at, int hidden, MoeConfig config, boolean gated, Tensor gamma) {
    this.replay = replay;
    this.gamma = gamma;
    this.router =
        Linear.whole(at.in("gate"), Parameter.Part.ROUTER, hidden, config.experts(), false);
    this.gate = config.gate();
    this.experts = mlps(at.in("experts"), hidden, config, gated);
    this.shared =
        config.shared() == null
            ? null
            : mlps(
                at.in("shared"),
                hidden,
                MoeConfig.of(
                    1,
                    config.shared().inner(),
                    config.activation(),
                    config.bias(),
                    GateConfig.dropless(1)),
                gated);
  }

  private Mlps mlps(Declarations at, int hidden, MoeConfig config, boolean gated) {
    Ranks.ExpertGroups groups = at.ranks().experts(config.experts());
    if (!gated) {
      return new Experts(at, hidden, config, groups)::forward;
    }
    Parameter gateWeight = at.in("gate").expertMatrix(groups, Slice.WHOLE, config.inner(), hidden);
    Parameter up = at.in("up").expertMatrix(groups, Slice.WHOLE, config.inner(), hidden);
    Parameter down = at.in("down").expertMatrix(groups, Slice.WHOLE, hidden, config.inner());
    return (pass, rows, offsets) -> {
      Tensor activated =
          ExpertOp.forward(pass, rows, offsets, gateWeight.value(), null, config.activation());
      Tensor linear = ExpertOp.forward(pass, rows, offsets, up.value(), null, Activation.IDENTITY);
      Tensor inner = product(pass, activated, linear);
      return ExpertOp.forward(pass, inner, offsets, down.value(), null, Activation.IDENTITY);
    };
  }

  /** The observer gets the routes before drops, like the peer's record. */
  @Override
  public Tensor forward(Pass pass, Tensor x, Tensor skip) {
    Tensor logits = router.forwardFloat32(pass, x);
    Routes asked = normalized(pass, route(pass, gate.withoutDropping(), logits));
    pass.observer().observe(0, asked);
    Routes routes = kept(asked, route(Pass.inference(pass.backend(), pass.scope()), gate, logits));
    Tensor rows = DispatchOp.forward(pass, x, routes);
    Tensor outputs = experts.forward(pass, rows, routes.offsets());
    return CombineOp.forward(
        pass, CombineKernels.Inputs.of(outputs, withShared(pass, x, skip)), routes);
  }

  private static Routes route(Pass pass, GateConfig gate, Tensor logits) {
    return GateOp.forward(
        pass,
        gate.settings(logits.size(0), (int) logits.size(1), true),
        GateKernels.Inputs.of(logits),
        (float) gate.loss().auxiliary(),
        (float) gate.loss().z());
  }

  /** The kept routes of {@code dropped}, with the weights from before the drops. */
  private static Routes kept(Routes asked, Routes dropped) {
    return new Routes(
        asked.scores(),
        dropped.expert(),
        dropped.position(),
        asked.weight(),
        asked.choice(),
        asked.counts(),
        dropped.offsets(),
        asked.losses());
  }

  private Tensor withShared(Pass pass, Tensor x, Tensor skip) {
    if (shared == null) {
      return skip;
    }
    Tensor all = replay.integers(new long[] {0, x.size(0)}, 2);
    Tensor output = shared.forward(pass, x, all);
    return skip == null ? output : AddOp.forward(pass, skip, output);
  }

  private Routes normalized(Pass pass, Routes routes) {
    if (gamma == null) {
      return routes;
    }
    return new Routes(
        routes.scores(),
        routes.expert(),
        routes.position(),
        NormOp.forward(pass, routes.weight(), gamma, null, 0, 0),
        routes.choice(),
        routes.counts(),
        routes.offsets(),
        routes.losses());
  }

  /**
   * Elementwise {@code a * b}, computed as a combine of one-element tokens: each has one route,
   * with a factor as its weight and the other as its row.
   */
  private Tensor product(Pass pass, Tensor a, Tensor b) {
    long count = a.count();
    Tensor position = replay.integers(LongStream.range(0, count).toArray(), count, 1);
    Tensor expert = replay.scope().zeros(DType.INT32, count, 1);
    Tensor offsets = replay.integers(new long[] {0, count}, 2);
    Tensor counts = replay.integers(new long[] {count}, 1);
    Routes routes =
        new Routes(null, expert, position, a.reshape(count, 1), null, counts, offsets, null);
    return CombineOp.forward(pass, CombineKernels.Inputs.of(b.reshape(count, 1), null), routes)
        .reshape(b.shape());
  }
}
