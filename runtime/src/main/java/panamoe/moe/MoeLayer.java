package panamoe.moe;

import panamoe.backend.Activation;
import panamoe.backend.Routes;
import panamoe.nn.FeedForward;
import panamoe.nn.Linear;
import panamoe.op.CombineOp;
import panamoe.op.ComputeEvent;
import panamoe.op.DispatchOp;
import panamoe.op.ExchangeOp;
import panamoe.op.GateOp;
import panamoe.op.Pass;
import panamoe.parallel.Ranks;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;

/**
 * A Mixture-of-Experts layer: gate, dispatch, exchange where several ranks hold the experts,
 * experts, exchange, combine. As a Residual MoE (DeepSpeed-MoE §4.1.2) every token also goes
 * through a fixed MLP, and a learned softmax of two coefficients mixes the two branches.
 */
public final class MoeLayer {
  /**
   * What the fixed MLP adds.
   *
   * @param mix FLOAT32 [S, 2], coefficients of the experts and the MLP
   */
  private record Residual(Tensor output, Tensor mix) {
    static final Residual NONE = new Residual(null, null);
  }

  private final int layer;
  private final String place;
  private final Ranks ranks;
  private final ExpertGroups groups;
  private final Gate gate;
  private final Experts experts;
  private final FeedForward mlp;
  private final Linear coefficient;

  /**
   * @param layer index of this layer in its model, for observers
   * @param deviation initial deviation of weights
   * @param outputDeviation initial deviation of the matrices that write into the residual stream
   */
  public MoeLayer(
      ParameterStore store,
      String name,
      int layer,
      MoeConfig config,
      float deviation,
      float outputDeviation) {
    this.layer = layer;
    this.place = "layer " + layer;
    this.ranks = store.ranks();
    this.groups = ranks.experts(config.experts());
    this.gate =
        new Gate(
            store, name + ".gate", config.hidden(), config.experts(), config.gate(), deviation);
    this.experts =
        new Experts(store, name + ".experts", config, groups, deviation, outputDeviation);
    if (config.residual()) {
      this.mlp =
          new FeedForward(
              store,
              name + ".mlp",
              config.hidden(),
              config.expertHidden(),
              config.activation(),
              config.bias(),
              deviation,
              outputDeviation);
      this.coefficient =
          new Linear(
              store,
              name + ".coefficient",
              Parameter.Part.COEFFICIENT,
              config.hidden(),
              2,
              true,
              Activation.IDENTITY,
              deviation);
    } else {
      this.mlp = null;
      this.coefficient = null;
    }
  }

  /**
   * @param x [S, M]
   * @param skip [S, M] added to the output, or null
   * @param used UINT8 [S] or null: 0 marks padding, whose output is the skip (and the fixed MLP's
   *     part) alone
   * @return [S, M]
   */
  public Tensor forward(Pass pass, Tensor x, Tensor skip, Tensor used) {
    Tensor y = pass.allocate(x.dtype(), x.shape());
    forwardInto(pass, x, gate.forward(pass, x, used), skip, y);
    return y;
  }

  /** As {@link #forward}, without a skip and into a tensor y [S, M] that the caller has. */
  public void forwardInto(Pass pass, Tensor x, Tensor used, Tensor y) {
    forwardInto(pass, x, gate.forward(pass, x, used), null, y);
  }

  /**
   * As {@link #forward}, with the gate's input and random numbers given: for replaying another
   * implementation's results.
   */
  public Tensor forward(Pass pass, Tensor x, Tensor gateInput, GateOp.Inputs inputs) {
    Tensor y = pass.allocate(x.dtype(), x.shape());
    forwardInto(pass, x, gate.route(pass, gateInput, inputs), null, y);
    return y;
  }

  private void forwardInto(Pass pass, Tensor x, Routes routes, Tensor skip, Tensor y) {
    pass.observer().observe(layer, routes);
    Tensor rows = DispatchOp.forward(pass, x, routes);
    boolean here = groups.group().size() == 1 && !ranks.topology().sharesRows();
    ExchangeOp exchange = here ? null : ExchangeOp.start(pass, routes, rows, ranks, groups, place);
    // The residual branch needs no other rank: it is computed while the rows are under way.
    Residual residual =
        mlp == null
            ? Residual.NONE
            : ComputeEvent.around(
                pass,
                place + " residual",
                () -> new Residual(mlp.forward(pass, x), coefficient.forwardFloat32(pass, x)));
    Tensor outputs =
        here ? experts.forward(pass, rows, routes.offsets()) : exchange.through(experts::forward);
    CombineOp.forwardInto(pass, outputs, routes, residual.output, residual.mix, skip, y);
  }
}
