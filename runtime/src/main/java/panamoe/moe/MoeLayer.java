package panamoe.moe;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.CombineKernels;
import panamoe.backend.Routes;
import panamoe.config.DenseConfig;
import panamoe.config.GateConfig.RouteWeight;
import panamoe.config.MoeConfig;
import panamoe.nn.Cost;
import panamoe.nn.Linear;
import panamoe.nn.Mlp;
import panamoe.nn.Work;
import panamoe.op.CombineOp;
import panamoe.op.ComputeEvent;
import panamoe.op.DispatchOp;
import panamoe.op.ExchangeOp;
import panamoe.op.Pass;
import panamoe.op.SliceOp;
import panamoe.parallel.Ranks;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.parallel.Topology;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.Weight;
import panamoe.tensor.Tensor;

/**
 * A Mixture-of-Experts layer: gate, dispatch, exchange where several ranks hold the experts,
 * experts, exchange, combine. As a Residual MoE (DeepSpeed-MoE §4.1.2) every token also goes
 * through a fixed MLP, and a learned softmax of two coefficients mixes the two branches; or it also
 * visits a shared expert, whose output is added.
 */
public final class MoeLayer {
  /**
   * What the fixed MLP adds.
   *
   * @param coefficient FLOAT32 [S, 2], logits of the weights of the experts and the MLP
   */
  private record Residual(Tensor output, Tensor coefficient) {
    static final Residual NONE = new Residual(null, null);
  }

  /** Copies of a row that its way to another rank's expert and back leaves for the backward. */
  private static final int TRAVELLING = 3;

  private final int layer;
  private final int hidden;
  private final int topK;
  private final boolean weightedInputs;
  private final String place;
  private final Ranks ranks;
  private final ExpertGroups groups;
  private final Gate gate;
  private final Experts experts;
  private final SharedExpert shared;
  private final Mlp mlp;
  private final Linear coefficient;

  /**
   * Declares {@code gate}, {@code experts} and, where the config has them, {@code shared}, or
   * {@code mlp} and {@code coefficient} [2, M] of a residual.
   *
   * @param layer index of this layer in its model, for observers
   * @param hidden M
   */
  public MoeLayer(Declarations at, int layer, int hidden, MoeConfig config) {
    this.layer = layer;
    this.hidden = hidden;
    this.topK = config.gate().topK();
    this.weightedInputs = config.gate().weight().place() == RouteWeight.Place.INPUT;
    this.place = "layer " + layer;
    this.ranks = at.ranks();
    this.groups = ranks.experts(layer, config.experts());
    this.gate = new Gate(at.in("gate"), hidden, config.experts(), config.gate());
    this.experts = new Experts(at.in("experts"), hidden, config, groups);
    this.shared =
        config.shared() == null ? null : new SharedExpert(at.in("shared"), hidden, config);
    if (config.residual() == null) {
      this.mlp = null;
      this.coefficient = null;
    } else {
      DenseConfig fixed =
          new DenseConfig(config.residual().inner(), config.activation(), config.bias());
      this.mlp = new Mlp(at.in("mlp"), hidden, fixed);
      this.coefficient =
          Linear.whole(at.in("coefficient"), Parameter.Part.COEFFICIENT, hidden, 2, true);
    }
  }

  /** The stacked matrices of this layer's experts. */
  public List<Parameter> expertMatrices() {
    return experts.matrices();
  }

  /**
   * Begins to read the experts that the router would choose if x were this layer's input, where
   * they are not all in memory and this rank holds all of them.
   *
   * @param x [S, M], or null
   */
  public void guess(Pass pass, Tensor x) {
    if (x == null
        || !computesHere(ranks.topology())
        || !(expertMatrices().getFirst().weight()
            instanceof Weight.Offloaded(var cache, int first, _, _))) {
      return;
    }
    int[] counts = gate.guess(pass, x, pass.topK(layer, topK));
    cache.guess(
        IntStream.range(0, counts.length)
            .filter(e -> counts[e] > 0)
            .boxed()
            .sorted(Comparator.comparingInt(e -> -counts[e]))
            .mapToInt(e -> first + e)
            .toArray());
  }

  /**
   * @param x [S, M]
   * @param skip [S, M] added to the output, or null
   * @param used UINT8 [S] or null: 0 marks padding, whose output is the skip (and the fixed MLP's
   *     part) alone
   * @param sequence tokens of a sequence, over which a loss may be taken; divides S; 0: no such
   *     loss
   * @return [S, M]
   */
  public Tensor forward(Pass pass, Tensor x, Tensor skip, Tensor used, long sequence) {
    Tensor y = pass.allocate(x.dtype(), x.shape());
    forwardInto(pass, x, route(pass, x, used, sequence), skip, y);
    return y;
  }

  /** As {@link #forward} of one sequence. */
  public Tensor forward(Pass pass, Tensor x, Tensor skip, Tensor used) {
    return forward(pass, x, skip, used, x.size(0));
  }

  /** As {@link #forward}, without a skip and into a tensor y [S, M] that the caller has. */
  public void forwardInto(Pass pass, Tensor x, Tensor used, Tensor y) {
    forwardInto(pass, x, route(pass, x, used, x.size(0)), null, y);
  }

  /**
   * As {@link #forward}, with the gate's input and random numbers given: for replaying another
   * implementation's results.
   *
   * @param noise FLOAT32 [S, E] or null
   * @param priority FLOAT32 [S, E] or null
   */
  public Tensor forward(
      Pass pass, Tensor x, Tensor gateInput, Tensor used, Tensor noise, Tensor priority) {
    Tensor y = pass.allocate(x.dtype(), x.shape());
    forwardInto(pass, x, gate.route(pass, gateInput, used, x.size(0), noise, priority), null, y);
    return y;
  }

  /**
   * The cost of {@link #forward} with a skip connection, if routes hit as many different experts as
   * they can.
   */
  public Cost cost(Work work) {
    return cost(work, mostHit(work));
  }

  /** The cost where {@code hit} of this rank's experts get rows. */
  public Cost cost(Work work, double hit) {
    Cost ones =
        weightedInputs
            ? Cost.activations(work, work.bytes32(topK), work.bytes(2.0 * topK * hidden + hidden))
            : Cost.NONE;
    return gate.cost(work)
        .then(costOfExperts(work, rows(work), hit).beside(costBeside(work)))
        .then(ones)
        .then(Cost.activations(work, dispatched(work) + work.bytes(hidden), 0));
  }

  /** The part of {@link #cost} that the experts have. */
  public Cost costOfExperts(Work work) {
    return costOfExperts(work, rows(work), mostHit(work));
  }

  /** The same where {@code hit} of this rank's experts get {@code rows} together. */
  public Cost costOfExperts(Work work, double rows, double hit) {
    return experts.cost(work, rows, hit);
  }

  /** Sub-groups of a tensor group compute a part of its rows each. */
  private double rows(Work work) {
    Topology topology = work.topology();
    return (double) work.tokens() * topK * topology.expertSlices() / topology.tensorDegree();
  }

  private double mostHit(Work work) {
    int held = work.topology().mostExperts(groups.total());
    return Math.min(held, (double) work.tokens() * topK);
  }

  /** The bytes of {@link #cost} that are kept of rows by expert, which are copied and no more. */
  public double dispatched(Work work) {
    return work.bytes((double) topK * hidden)
        * (computesHere(work.topology()) ? 1 : 1 + TRAVELLING);
  }

  /**
   * The part of {@link #cost} that is computed while rows travel: of the MLP beside the experts.
   */
  public Cost costBeside(Work work) {
    if (shared != null) {
      return shared.cost(work, hidden);
    }
    return mlp == null ? Cost.NONE : mlp.cost(work).then(coefficient.costFloat32(work));
  }

  /** Whether rows stay on their rank: it holds all experts, and shares no rows. */
  private boolean computesHere(Topology topology) {
    return topology.expertDegree(groups.total()) == 1 && !topology.sharesRows();
  }

  private Routes route(Pass pass, Tensor x, Tensor used, long sequence) {
    return gate.forward(pass, x, used, sequence, pass.topK(layer, topK));
  }

  private void forwardInto(Pass pass, Tensor x, Routes routes, Tensor skip, Tensor y) {
    pass.observer().observe(layer, routes);
    Tensor rows =
        weightedInputs ? DispatchOp.weighted(pass, x, routes) : DispatchOp.forward(pass, x, routes);
    boolean here = computesHere(ranks.topology());
    ExchangeOp exchange = here ? null : ExchangeOp.start(pass, routes, rows, ranks, groups, place);
    // What needs no other rank is computed while the rows are under way.
    Tensor base =
        shared == null
            ? skip
            : ComputeEvent.around(
                pass, place + " shared expert", () -> shared.forward(pass, x, skip));
    Residual residual =
        mlp == null
            ? Residual.NONE
            : ComputeEvent.around(
                pass,
                place + " residual",
                () -> new Residual(mlp.forward(pass, x), coefficient.forwardFloat32(pass, x)));
    Tensor outputs =
        here ? computeHere(pass, x, rows, routes.offsets()) : exchange.through(experts::forward);
    CombineOp.forwardInto(
        pass,
        new CombineKernels.Inputs(outputs, residual.output, residual.coefficient, base),
        weightedInputs ? routes.unweighted(pass.scope(), pass.backend()) : routes,
        y);
  }

  /** For experts that all tensor ranks slice: each has all rows already. */
  private Tensor computeHere(Pass pass, Tensor x, Tensor rows, Tensor offsets) {
    Tensor input = SliceOp.enter(pass, rows, ranks.slices());
    Tensor outputs = experts.forward(pass, input, offsets, x);
    return SliceOp.leave(pass, outputs, ranks.slices());
  }
}
