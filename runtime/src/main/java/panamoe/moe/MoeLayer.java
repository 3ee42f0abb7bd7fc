package panamoe.moe;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.CombineKernels;
import panamoe.backend.Routes;
import panamoe.config.DenseConfig;
import panamoe.config.GateConfig.RouteWeight;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.nn.Cost;
import panamoe.nn.Linear;
import panamoe.nn.Mlp;
import panamoe.nn.Norm;
import panamoe.nn.Work;
import panamoe.op.AddOp;
import panamoe.op.CombineOp;
import panamoe.op.ComputeEvent;
import panamoe.op.DispatchOp;
import panamoe.op.ExchangeOp;
import panamoe.op.Pass;
import panamoe.op.SliceOp;
import panamoe.op.SlotExchangeOp;
import panamoe.parallel.Ranks;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.parallel.Topology;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.Weight;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A Mixture-of-Experts layer: gate, dispatch, exchange (if several ranks hold the experts),
 * experts, exchange, combine. In a Residual MoE (DeepSpeed-MoE §4.1.2) every token also passes a
 * fixed MLP, and a learned softmax of two coefficients mixes both branches. The output of a shared
 * expert is added. With a branchNorm each of these normalises x by itself (Gemma 4).
 */
public final class MoeLayer {
  /**
   * The output of the fixed MLP.
   *
   * @param coefficient FLOAT32 [S, 2], logits of the weights of the experts and the MLP
   */
  private record Residual(Tensor output, Tensor coefficient) {
    static final Residual NONE = new Residual(null, null);
  }

  /** Copies of a row that an exchange, there and back, keeps for the backward. */
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
  private final Norm expertsNorm; // null without a branchNorm, as the next
  private final Norm expertsOutputNorm;

  /**
   * Declares {@code gate}, {@code experts} and, where the config has them, {@code shared}, or
   * {@code mlp} and {@code coefficient} [2, M] of a residual, and {@code experts_norm} and {@code
   * experts_output_norm} of a branchNorm.
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
    NormConfig branches = config.branchNorm();
    this.gate = new Gate(at.in("gate"), hidden, config.experts(), config.gate(), branches);
    this.experts = new Experts(at.in("experts"), hidden, config, groups);
    this.shared =
        config.shared() == null ? null : new SharedExpert(at.in("shared"), hidden, config);
    this.expertsNorm = norm(at.in("experts_norm"), branches);
    this.expertsOutputNorm = norm(at.in("experts_output_norm"), branches);
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

  private Norm norm(Declarations at, NormConfig config) {
    return config == null ? null : new Norm(at, config, hidden);
  }

  /** The stacked matrices of this layer's experts. */
  public List<Parameter> expertMatrices() {
    return experts.matrices();
  }

  /**
   * Prefetches the experts that the router would choose for the input x, if experts are on a disk
   * and this rank holds all of them.
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
   * @param used UINT8 [S] or null: 0 marks padding, whose output is only the skip (and the fixed
   *     MLP's part)
   * @param sequence tokens of a sequence, for a loss per sequence; divides S; 0: no such loss
   * @return [S, M]
   */
  public Tensor forward(Pass pass, Tensor x, Tensor skip, Tensor used, long sequence) {
    Tensor y = pass.allocate(x.dtype(), x.shape());
    forwardInto(pass, x, route(pass, x, used, sequence), skip, y);
    return y;
  }

  /** {@link #forward} of one sequence. */
  public Tensor forward(Pass pass, Tensor x, Tensor skip, Tensor used) {
    return forward(pass, x, skip, used, x.size(0));
  }

  /** Like {@link #forward}, without a skip, into the caller's tensor y [S, M]. */
  public void forwardInto(Pass pass, Tensor x, Tensor used, Tensor y) {
    forwardInto(pass, x, route(pass, x, used, x.size(0)), null, y);
  }

  /**
   * Like {@link #forward}, with a given input of the gate and random numbers, to replay another
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
   * The cost of {@link #forward} with a skip connection, if routes hit as many experts as possible.
   */
  public Cost cost(Work work) {
    return cost(work, mostHit(work));
  }

  /** The cost of {@link #forward} without one: an ungated shared expert's sum is not formed. */
  public Cost costWithoutSkip(Work work) {
    return cost(work, mostHit(work), false);
  }

  /** The cost if {@code hit} of this rank's experts get rows. */
  public Cost cost(Work work, double hit) {
    return cost(work, hit, true);
  }

  /** Bytes that stay after the forward although the layer is recomputed. */
  public double keptBytes(Work work) {
    return gate.lossBytes(work);
  }

  private Cost cost(Work work, double hit, boolean skip) {
    double unweighted = work.bytes((double) topK * hidden) + work.bytes32(topK);
    Cost ones =
        weightedInputs
            ? Cost.activations(
                work,
                work.bytes32(topK) + (work.training() ? 0 : unweighted),
                work.bytes(2.0 * topK * hidden + hidden))
            : Cost.NONE;
    return gate.cost(work)
        .then(costOfExperts(work, rows(work), hit).parallel(costOverlapped(work, skip)))
        .then(ones)
        .then(costOfNorms(work))
        .then(Cost.activations(work, dispatched(work) + work.bytes(hidden), 0));
  }

  private Cost costOfNorms(Work work) {
    return expertsNorm == null
        ? Cost.NONE
        : expertsNorm.cost(work).then(expertsOutputNorm.cost(work)).then(Cost.sum(work, hidden));
  }

  /** The part of {@link #cost} that the experts have. */
  public Cost costOfExperts(Work work) {
    return costOfExperts(work, rows(work), mostHit(work));
  }

  /** The experts' part if {@code hit} of them get {@code rows} rows in total. */
  public Cost costOfExperts(Work work, double rows, double hit) {
    return experts.cost(work, rows, hit);
  }

  /** Each sub-group of a tensor group computes a part of its rows. */
  private double rows(Work work) {
    Topology topology = work.topology();
    return (double) work.tokens() * topK * topology.expertSlices() / topology.tensorDegree();
  }

  private double mostHit(Work work) {
    int held = work.topology().mostExperts(groups.total());
    return Math.min(held, (double) work.tokens() * topK);
  }

  /** The kept bytes of {@link #cost} for rows by expert, which are only copied. */
  public double dispatched(Work work) {
    return work.bytes((double) topK * hidden)
        * (computesHere(work.topology()) ? 1 : 1 + TRAVELLING);
  }

  /** The part of {@link #cost} that overlaps the exchange: the fixed MLP or shared expert. */
  public Cost costOverlapped(Work work) {
    return costOverlapped(work, true);
  }

  private Cost costOverlapped(Work work, boolean skip) {
    if (shared != null) {
      return shared.cost(work, hidden, skip);
    }
    return mlp == null ? Cost.NONE : mlp.cost(work).then(coefficient.costFloat32(work));
  }

  /**
   * Whether {@link Pass#inSlots} serves this layer: it has no exchange, or one of few whole rows
   * between ranks that hold each expert once.
   *
   * @param most rows of a rank
   */
  public boolean servesSlots(DType dtype, int most) {
    return computesHere(ranks.topology())
        || !ranks.overlap().concurrent()
            && !weightedInputs
            && SlotExchangeOp.fits(dtype, hidden, (long) most * topK, groups);
  }

  /** Whether no exchange is needed: the rank holds all experts and shares no rows. */
  private boolean computesHere(Topology topology) {
    return topology.expertDegree(groups.total()) == 1 && !topology.sharesRows();
  }

  private Routes route(Pass pass, Tensor x, Tensor used, long sequence) {
    return gate.forward(pass, x, used, sequence, pass.topK(layer, topK), pass.experts(layer));
  }

  private void forwardInto(Pass pass, Tensor x, Routes routes, Tensor skip, Tensor y) {
    pass.observer().observe(layer, routes);
    Tensor input = expertsNorm == null ? x : expertsNorm.forward(pass, x);
    boolean here = computesHere(ranks.topology());
    boolean inSlots = !here && pass.mostRows() > 0;
    SlotExchangeOp slots =
        inSlots ? SlotExchangeOp.start(pass, input, routes, ranks, groups, place) : null;
    Tensor rows =
        inSlots
            ? null
            : weightedInputs
                ? DispatchOp.weighted(pass, input, routes)
                : DispatchOp.forward(pass, input, routes);
    ExchangeOp exchange =
        here || inSlots ? null : ExchangeOp.start(pass, routes, rows, ranks, groups, place);
    // Computes the fixed MLP or shared expert while rows are exchanged.
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
        here
            ? computeHere(pass, x, rows, routes)
            : inSlots ? slots.through(experts::forward) : exchange.through(experts::forward);
    Routes placed = inSlots ? slots.routes() : routes;
    Routes weighted = weightedInputs ? placed.unweighted(pass.scope(), pass.backend()) : placed;
    pass.observer().combined(layer, weighted, outputs);
    boolean normed = expertsOutputNorm != null;
    Tensor sum = normed ? pass.allocate(y.dtype(), y.shape()) : y;
    CombineOp.forwardInto(
        pass,
        new CombineKernels.Inputs(
            outputs, residual.output, residual.coefficient, normed ? null : base),
        weighted,
        sum);
    if (normed) {
      AddOp.forwardInto(pass, base, null, expertsOutputNorm.forward(pass, sum), y);
    }
  }

  /** For sliced experts: every tensor rank has all rows already. */
  private Tensor computeHere(Pass pass, Tensor x, Tensor rows, Routes routes) {
    Tensor input = SliceOp.enter(pass, rows, ranks.slices());
    Tensor groups = experts.adapted(pass) ? pass.adapters().byExpert(pass, routes) : null;
    Tensor outputs = experts.forward(pass, input, routes.offsets(), groups, x);
    return SliceOp.leave(pass, outputs, ranks.slices());
  }
}
