package panamoe.moe;

import panamoe.backend.BalanceKernels;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.NormConfig;
import panamoe.nn.Cost;
import panamoe.nn.Linear;
import panamoe.nn.Norm;
import panamoe.nn.Work;
import panamoe.op.BalanceOp;
import panamoe.op.FactorOp;
import panamoe.op.GateOp;
import panamoe.op.JitterOp;
import panamoe.op.Pass;
import panamoe.op.ScaleOp;
import panamoe.op.SparseMixerOp;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** The router, a linear map or cosines, always in FLOAT32, and the choice of experts. */
public final class Gate {
  private static final float JITTER = 0.01f;

  private final GateConfig config;
  private final int experts;
  private final int hidden;
  private final Linear linear;
  private final CosineRouter cosine;
  private final Parameter correction;
  private final Parameter factors;
  private final Norm norm;
  private final Double logitScale;

  /**
   * Declares {@code weight} [E, M] and, if configured, {@code bias} [E] of the logits, or the parts
   * of a cosine router; and, if configured, {@code correction} [E], which is added to scores for
   * the choice only and gets no gradient, and {@code factors} [E] of the weights.
   */
  public Gate(Declarations at, int hidden, int experts, GateConfig config) {
    this(at, hidden, experts, config, null);
  }

  /**
   * Declares {@code norm} too.
   *
   * @param inputNorm of x, whose logits are then scaled by 1 / sqrt(M); null: none
   */
  Gate(Declarations at, int hidden, int experts, GateConfig config, NormConfig inputNorm) {
    this.config = config;
    this.experts = experts;
    this.hidden = hidden;
    Parameter.Part part = Parameter.Part.ROUTER;
    if (config.cosine() == null) {
      this.linear = Linear.whole(at, part, hidden, experts, config.routerBias());
      this.cosine = null;
    } else {
      this.linear = null;
      this.cosine = new CosineRouter(at, hidden, experts, config.cosine());
    }
    this.correction =
        config.choice().correctionBias()
            ? at.vector("correction", part, Initialization.ZERO, Slice.WHOLE, experts)
            : null;
    this.factors =
        config.weight().hasFactors()
            ? at.vector("factors", part, Initialization.ONE, Slice.WHOLE, experts)
            : null;
    this.norm = inputNorm == null ? null : new Norm(at.in("norm"), inputNorm, hidden);
    this.logitScale = inputNorm == null ? null : 1 / Math.sqrt(hidden);
  }

  /**
   * Routes by the config; jitter, Gumbel noise and random priorities are for training only.
   *
   * @param x [S, M]
   * @param used UINT8 [S] or null: 0 marks padding
   * @param sequence tokens of a sequence, for a loss per sequence; divides S; 0: no such loss
   */
  public Routes forward(Pass pass, Tensor x, Tensor used, long sequence) {
    return forward(pass, x, used, sequence, config.topK(), null);
  }

  /**
   * Routes tokens to fewer experts than the config says.
   *
   * @param topK experts of a token, at most the config's: its best choices, weighted as if there
   *     were no others
   * @param given the experts of each row, by {@link panamoe.op.RouteSource}, instead of a choice
   *     with noise; null: none
   */
  Routes forward(Pass pass, Tensor x, Tensor used, long sequence, int topK, int[] given) {
    Tensor input = x;
    Tensor noise = null;
    Tensor priority = null;
    if (pass.training()) {
      switch (given == null ? config.choice().noise() : GateConfig.Noise.NONE) {
        case NONE -> {}
        case JITTER -> input = JitterOp.forward(pass, x, JITTER);
        case GUMBEL, GUMBEL_FROM_SECOND -> noise = pass.gumbel(x.size(0), experts);
      }
      if (needsPriority()) {
        priority = pass.uniform(x.size(0), experts);
      }
    }
    return route(pass, input, used, sequence, noise, priority, topK, given);
  }

  /**
   * Routes x [S, M] with the caller's random numbers.
   *
   * @param sequence tokens of a sequence, for a loss per sequence; divides S; 0: no such loss
   * @param noise FLOAT32 [S, E] or null
   * @param priority FLOAT32 [S, E] or null
   */
  public Routes route(
      Pass pass, Tensor x, Tensor used, long sequence, Tensor noise, Tensor priority) {
    return route(pass, x, used, sequence, noise, priority, config.topK(), null);
  }

  private Routes route(
      Pass pass,
      Tensor x,
      Tensor used,
      long sequence,
      Tensor noise,
      Tensor priority,
      int topK,
      int[] given) {
    Tensor logits = logits(pass, x);
    GateKernels.Inputs asked =
        new GateKernels.Inputs(logits, used, Parameter.valueOf(correction), noise, priority);
    GateSettings own = config.settings(x.size(0), experts, pass.training());
    GateSettings settings = given == null ? own.withTopK(topK) : own.byNoise();
    GateKernels.Inputs inputs = given == null ? asked : GateOp.choosing(pass, own, asked, given);
    if (topK < own.topK()) {
      pass.observer().unlimited(GateOp.unlimited(pass, own, inputs));
    }
    float auxiliary = (float) config.loss().auxiliary() * pass.share();
    boolean across = config.loss().joinsLayers();
    float ofBatch = perSequence() || across ? 0 : auxiliary;
    float z = (float) config.loss().z() * pass.share();
    Routes routes =
        pass.batch().size() == 1
            ? GateOp.forward(pass, settings, inputs, ofBatch, z)
            : BalanceOp.ofBatch(pass, settings, inputs, ofBatch, z);
    if (config.weight().sparseMixer() != null) {
      double threshold = config.weight().sparseMixer();
      SparseMixerOp.forward(pass, logits, routes, threshold, config.weight().scale());
    }
    if (perSequence() && sequence > 0) {
      BalanceOp.ofSequences(pass, settings, logits, routes, sequence, auxiliary);
    }
    if (across) {
      BalanceOp.ofLayers(pass, own.withTopK(topK), asked, routes, auxiliary);
    }
    return factors == null ? routes : FactorOp.forward(pass, routes, factors.value());
  }

  private Tensor logits(Pass pass, Tensor x) {
    Tensor input = norm == null ? x : norm.forward(pass, x);
    Tensor logits =
        cosine == null ? linear.forwardFloat32(pass, input) : cosine.forward(pass, input);
    return ScaleOp.forward(pass, logits, logitScale);
  }

  /**
   * How often each expert would be chosen for the input x: a prediction if x is another layer's
   * input.
   *
   * @return [E]
   */
  int[] guess(Pass pass, Tensor x, int topK) {
    Tensor logits = logits(pass, x);
    GateKernels.Inputs inputs =
        new GateKernels.Inputs(logits, null, Parameter.valueOf(correction), null, null);
    GateSettings settings = config.settings(x.size(0), experts, false).withTopK(topK);
    return GateOp.unlimited(pass, settings, inputs).counts().toInts();
  }

  private boolean perSequence() {
    return Boolean.TRUE.equals(config.loss().perSequence());
  }

  private boolean needsPriority() {
    return config.capacity().policy() == DropPolicy.PRIORITY;
  }

  /** Bytes that the pass keeps for a loss over several layers, also if the layer is recomputed. */
  double lossBytes(Work work) {
    return work.training() && config.loss().joinsLayers()
        ? DType.FLOAT64.bytes(BalanceKernels.BatchPart.elements(experts))
        : 0;
  }

  /** The cost of {@link #forward}. */
  public Cost cost(Work work) {
    long tokens = work.tokens();
    double random = 0;
    if (work.training()) {
      random += needsPriority() ? experts : 0;
      random +=
          switch (config.choice().noise()) {
            case NONE -> 0;
            case JITTER -> hidden;
            case GUMBEL, GUMBEL_FROM_SECOND -> experts;
          };
    }
    double tables = Routes.bytes(tokens, experts, config.topK());
    if (work.training() && perSequence()) {
      tables += BalanceKernels.Sums.bytes(work.sequences(), experts);
    }
    tables += lossBytes(work);
    if (lossBytes(work) > 0) {
      boolean counted = config.settings(tokens, experts, true).choosesBySoftmax(correction != null);
      tables += counted ? 0 : Routes.bytes(tokens, experts, config.topK());
    }
    tables += factors == null ? 0 : work.bytes32(config.topK());
    return (norm == null ? Cost.NONE : norm.cost(work))
        .then(cosine == null ? linear.costFloat32(work) : cosine.cost(work))
        .then(logitScale == null ? Cost.NONE : Cost.activations(work, work.bytes32(experts), 0))
        .then(Cost.weights(work, factors))
        .then(Cost.weights(work, correction))
        .then(Cost.activations(work, tables + work.bytes32(random), 0));
  }
}
