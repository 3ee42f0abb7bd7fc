package panamoe.harness.conformance.deepspeed;

import java.util.Arrays;
import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Peers;
import panamoe.harness.conformance.replay.Replay;
import panamoe.harness.conformance.replay.RouteTable;
import panamoe.moe.MoeLayer;
import panamoe.op.GateOp;
import panamoe.op.JitterOp;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.parallel.Ranks;
import panamoe.param.Declarations;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * DeepSpeed's {@code MoE} layer, standard and Residual, replayed by {@link MoeLayer} on one rank,
 * or on one of several.
 */
public final class LayerCases {
  private final Replay replay;
  private final Ranks ranks;
  private final GoldenFile golden;
  private final MoeConfig config;
  private final boolean[] used;
  private final int tokens;

  private LayerCases(Replay replay, Ranks ranks) {
    this.replay = replay;
    this.ranks = ranks;
    this.golden = replay.golden();
    this.tokens = golden.size("logits", 0);
    this.used = UnusedTokens.used(golden);
    int topK = golden.hyper("k").asInt();
    boolean residual = golden.hyper("residual").asBoolean();
    this.config =
        new MoeConfig(
            golden.hyper("E").asInt(),
            golden.hyper("F").asInt(),
            Peers.activation(golden.hyper("act").asText()),
            golden.hyper("bias").asBoolean(),
            gate(topK),
            null,
            residual ? new MoeConfig.Residual(golden.hyper("F").asInt()) : null);
  }

  public static void layer(Replay replay) {
    layer(replay, Ranks.alone());
  }

  /** What one of several ranks recorded; each replays its own at the same time. */
  static void layer(Replay replay, Ranks ranks) {
    new LayerCases(replay, ranks).compare();
  }

  private void compare() {
    try (ParameterStore store = new ParameterStore(ranks)) {
      MoeLayer layer =
          new MoeLayer(Declarations.of(store, 1, "moe"), 0, golden.hyper("H").asInt(), config);
      store.materialize(replay.backend(), DType.FLOAT32, true, 0);
      List<DeepSpeedWeights> weights = DeepSpeedWeights.of(store);
      weights.forEach(weight -> weight.load(golden));
      Tensor x = replay.rows("x");
      Decision decision = new Decision();
      store.watch(replay.pass().tape());
      Pass pass = replay.pass().observedBy(decision);
      Tensor gateInput = jittered(pass, x);
      Tensor out = layer.forward(pass, x, gateInput, mask(), noise(), priority());
      replay.close("out", out.toFloats());
      compareDecision(decision.routes);
      replay.backward(out, golden.floats("upstream"));
      compareGradients(x, weights);
      compareGate(weights.getFirst().parameter().value(), decision);
    }
  }

  private void compareDecision(RouteTable routes) {
    boolean drops = config.gate().capacity().policy() != DropPolicy.DROPLESS;
    replay.exact(
        "capacity",
        new long[] {
          drops ? config.gate().capacity(tokens, config.experts(), true) : largestCount(routes)
        });
    replay.exact("exp_counts", routes.counts());
    DeepSpeedRoutes.compare(replay, routes, true);
  }

  /**
   * Without dropping the peer's capacity is the largest queue of any expert on any rank that shares
   * the experts.
   */
  private long largestCount(RouteTable routes) {
    long[] counts = ranks.experts(config.experts()).group().allGather(routes.largestCount());
    return Arrays.stream(counts).max().orElseThrow();
  }

  /**
   * Where tokens are unused, the peer's auxiliary loss still reaches their logits, and through them
   * the gate and x; ours does not. Their part, a product of recorded tensors, is taken off the
   * recorded gradients.
   */
  private void compareGradients(Tensor x, List<DeepSpeedWeights> weights) {
    float[] gateGradient = golden.floats("grad." + DeepSpeedWeights.GATE);
    float[] inputGradient = golden.floats("grad_x");
    if (used != null) {
      takeOffUnused(gateGradient, inputGradient);
      replay
          .comparison()
          .note(
              "gradient of l_aux by unused tokens, which ours has not, taken off the recorded ones");
    }
    replay.comparison().close("grad_x", inputGradient, replay.gradientOfInput(x));
    for (DeepSpeedWeights weight : weights) {
      float[] actual = weight.parameter().gradient().toFloats();
      replay
          .comparison()
          .close(
              "grad." + weight.names().getFirst(),
              weight.names().getFirst().equals(DeepSpeedWeights.GATE)
                  ? gateGradient
                  : weight.read(golden, "grad."),
              actual);
    }
  }

  private void takeOffUnused(float[] gateGradient, float[] inputGradient) {
    int hidden = golden.hyper("H").asInt();
    float[] dlogits = golden.floats("grad_logits");
    float[] gateInput = gateInput();
    float[] jitter = jitter();
    float[] weight = golden.floats("w." + DeepSpeedWeights.GATE);
    for (int s = 0; s < tokens; s++) {
      for (int e = 0; !used[s] && e < config.experts(); e++) {
        float dlogit = dlogits[s * config.experts() + e];
        for (int m = 0; m < hidden; m++) {
          gateGradient[e * hidden + m] -= dlogit * gateInput[s * hidden + m];
          inputGradient[s * hidden + m] -=
              dlogit * weight[e * hidden + m] * (jitter == null ? 1 : jitter[s * hidden + m]);
        }
      }
    }
  }

  private float[] gateInput() {
    float[] x = golden.floats("x");
    float[] jitter = jitter();
    for (int i = 0; jitter != null && i < x.length; i++) {
      x[i] *= jitter[i];
    }
    return x;
  }

  /**
   * Factors of the gate's input, from 0.99 to 1.01, recorded as they are or as the uniform numbers
   * they came from.
   */
  private float[] jitter() {
    if (!golden.has("jitter_uniform")) {
      return null;
    }
    float[] factors = golden.floats("jitter_uniform");
    boolean raw = false;
    for (float factor : factors) {
      raw |= factor < 0.98f;
    }
    return raw ? Layouts.shifted(Layouts.scaled(factors, 0.02), 0.99f) : factors;
  }

  /**
   * The gate once more by itself: its logits, the losses, and the gradient that the layer's
   * backward sent into it.
   */
  private void compareGate(Tensor gateWeight, Decision decision) {
    Pass pass = replay.freshPass();
    Tensor x = replay.tensor(gateInput(), tokens, golden.hyper("H").asInt());
    Tensor linear = LinearOp.forward(pass, x, gateWeight, null, Activation.IDENTITY);
    replay.close("logits", linear.toFloats());

    pass = replay.freshPass();
    Tensor logits = replay.input("logits");
    GateSettings settings = config.gate().settings(tokens, config.experts(), true);
    float coefficient = (float) config.gate().loss().auxiliary();
    Routes routes =
        GateOp.forward(
            pass,
            settings,
            logits,
            new GateOp.Inputs(mask(), null, noise(), priority()),
            coefficient,
            0);
    float auxiliary = routes.losses().getFloat(0);
    replay.backward(routes.weight(), decision.weightGradient);
    float[] recorded = golden.floats("grad_logits");
    float[] gradient = replay.gradientOfInput(logits);
    if (used != null) {
      recorded = Layouts.cleared(recorded, used);
      RouteTable all =
          RouteTable.of(
              GateOp.forward(
                  replay.freshPass(),
                  settings,
                  replay.input("logits"),
                  new GateOp.Inputs(null, null, noise(), priority()),
                  0,
                  0));
      auxiliary = DeepSpeedRoutes.auxiliaryLoss(decision.routes.counts(), all.scores(), tokens);
    }
    replay.comparison().close("grad_logits", recorded, gradient);
    replay.close("l_aux", auxiliary);
    // From our output the objective would repeat "out"; from the recorded one it checks the
    // auxiliary part.
    double coefficientOfPeer = golden.hyper("aux_coef").asDouble();
    replay.close("loss", replay.objective(golden.floats("out")) + coefficientOfPeer * auxiliary);
  }

  private Tensor jittered(Pass pass, Tensor x) {
    float[] factors = jitter();
    return factors == null ? x : JitterOp.forward(pass, x, replay.tensor(factors, x.shape()));
  }

  private Tensor mask() {
    return used == null ? null : replay.mask(used);
  }

  private Tensor noise() {
    if (golden.has("gumbel")) {
      return replay.input("gumbel");
    }
    // Second choices by logits, as the peer compares them.
    return config.gate().topK() == 2 ? replay.constant(0, tokens, config.experts()) : null;
  }

  private Tensor priority() {
    return golden.has("rts_uniform") ? replay.input("rts_uniform") : null;
  }

  /**
   * The peer selects at random in evaluation too, and there takes another capacity factor; ours
   * never does the first. So an evaluation is replayed as a training pass with the evaluation's
   * factor.
   */
  private GateConfig gate(int topK) {
    double factor = golden.hyper(golden.hyper("train").asBoolean() ? "cf" : "eval_cf").asDouble();
    DropPolicy policy =
        !golden.hyper("drop").asBoolean()
            ? DropPolicy.DROPLESS
            : switch (topK) {
              case 1 -> golden.has("rts_uniform") ? DropPolicy.PRIORITY : DropPolicy.POSITION;
              case 2 -> DropPolicy.POSITION;
              default -> DropPolicy.PROBABILITY;
            };
    double part = used == null ? 1 : UnusedTokens.usedPart(used);
    // The peer's means are over all tokens, ours over the used: see UnusedTokens.
    return DeepSpeedGate.of(topK)
        .config(
            topK,
            policy,
            factor,
            golden.hyper("min_capacity").asInt(),
            golden.hyper("aux_coef").asDouble() * part * part);
  }

  /** What the layer's gate decided, and the gradient that reached its weights. */
  private final class Decision implements RouteObserver {
    private RouteTable routes;
    private float[] weightGradient;

    @Override
    public void observe(int layer, Routes decided) {
      routes = RouteTable.of(decided);
      // Recorded after the gate and before dispatch, so that it runs when the gradient is whole.
      replay
          .pass()
          .tape()
          .record(
              () -> weightGradient = replay.pass().tape().gradient(decided.weight()).toFloats());
    }
  }
}
