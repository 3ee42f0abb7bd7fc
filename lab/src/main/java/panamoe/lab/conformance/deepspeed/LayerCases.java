package panamoe.lab.conformance.deepspeed;

import java.util.Arrays;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.Routes;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.moe.MoeLayer;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.Tensor;

/**
 * DeepSpeed's {@code MoE} layer, standard and Residual, replayed by {@link MoeLayer} on one rank,
 * or on one of several.
 */
public final class LayerCases {
  private static final String GATE = "deepspeed_moe.gate.wg.weight";
  private static final String EXPERT = "deepspeed_moe.experts.deepspeed_experts.%d.";

  private final Replay replay;
  private final Ranks ranks;
  private final GoldenFile golden;
  private final MoeConfig config;
  private final boolean[] used;
  private final int tokens;
  private final GateReplay gate;

  private LayerCases(Replay replay, Ranks ranks) {
    this.replay = replay;
    this.ranks = ranks;
    this.golden = replay.golden();
    this.tokens = golden.size("logits", 0);
    this.used = GateReplay.used(golden);
    int topK = golden.hyper("k").asInt();
    boolean residual = golden.hyper("residual").asBoolean();
    this.config =
        new MoeConfig(
            golden.hyper("E").asInt(),
            golden.hyper("F").asInt(),
            Layouts.activation(golden.hyper("act").asString()),
            golden.hyper("bias").asBoolean(),
            gate(topK),
            null,
            residual ? new MoeConfig.Residual(golden.hyper("F").asInt()) : null);
    this.gate = new GateReplay(replay, config.gate());
  }

  public static void layer(Replay replay) {
    new LayerCases(replay, Ranks.alone()).compare();
  }

  /**
   * A layer with experts on several processes, replayed on equally many ranks as threads. Each rank
   * compares the record of its process.
   */
  public static void expertParallel(Replay replay) {
    GoldenFile golden = replay.golden();
    int world = 0;
    while (golden.has(prefix(world) + "x")) {
      world++;
    }
    Topology topology = new Topology(world, golden.hyper("ep").asInt(), 1, 1);
    List<Replay> replays =
        ThreadWorld.of(world)
            .run(
                rank -> {
                  Ranks ranks = new Ranks(topology, rank, Strategy.FLAT, Overlap.NONE);
                  try (GoldenFile recorded = golden.part(prefix(rank.rank()));
                      Backend backend = Backends.open(replay.backend().name(), 1);
                      Replay ofRank = new Replay(recorded, backend)) {
                    new LayerCases(ofRank, ranks).compare();
                    ranks.close();
                    return ofRank; // the result outlives the rank's tensors
                  }
                });
    for (int rank = 0; rank < world; rank++) {
      replay.include(prefix(rank), replays.get(rank));
    }
  }

  private static String prefix(int rank) {
    return "rank" + rank + ".";
  }

  private void compare() {
    try (BlockReplay<MoeLayer> block = BlockReplay.of(replay, ranks, config, weights())) {
      Tensor x = replay.rows("x");
      Pass pass = block.pass();
      Tensor gateInput = jittered(pass, x);
      Tensor out =
          block
              .layer()
              .forward(pass, x, gateInput, replay.mask(used), gate.noise(), gate.priority());
      compareDecision(block.routes());
      if (used != null) {
        takeOffUnused();
      }
      block.compare(x, out);
      compareGate(block);
    }
  }

  private static WeightMap weights() {
    return new WeightMap()
        .put("gate.weight", GATE)
        .put("experts.up.weight", EXPERT + "fc1.weight")
        .put("experts.up.bias", EXPERT + "fc1.bias")
        .put("experts.down.weight", EXPERT + "fc2.weight")
        .put("experts.down.bias", EXPERT + "fc2.bias")
        .put("mlp.up.weight", "mlp.fc1.weight")
        .put("mlp.up.bias", "mlp.fc1.bias")
        .put("mlp.down.weight", "mlp.fc2.weight")
        .put("mlp.down.bias", "mlp.fc2.bias")
        .put("coefficient.weight", "coefficient.weight")
        .put("coefficient.bias", "coefficient.bias");
  }

  /** The peer's largest queue is the maximum over the ranks of the expert group. */
  private void compareDecision(RouteTable routes) {
    long[] counts = ranks.experts(config.experts()).group().allGather(routes.largestCount());
    gate.compareCapacity(Arrays.stream(counts).max().orElseThrow());
    replay.exact("exp_counts", routes.counts());
    DeepSpeedRoutes.compare(replay, routes, true);
  }

  /**
   * The peer's auxiliary loss also reaches the logits of unused tokens, and through them the gate
   * and x; ours does not. This part, a product of recorded tensors, is subtracted from the recorded
   * gradients.
   */
  private void takeOffUnused() {
    int hidden = golden.hyper("H").asInt();
    float[] gateGradient = golden.floats("grad." + GATE);
    float[] inputGradient = golden.floats("grad_x");
    float[] dlogits = golden.floats("grad_logits");
    float[] gateInput = gateInput();
    float[] jitter = jitter();
    float[] weight = golden.floats("w." + GATE);
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
    replay.expect("grad." + GATE, gateGradient);
    replay.expect("grad_x", inputGradient);
    replay.note(
        "the peer's gradient of l_aux through unused tokens is subtracted, because ours has none");
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
   * The jitter factors of the gate's input, from 0.99 to 1.01, recorded directly or as the uniform
   * numbers behind them.
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
    for (int i = 0; raw && i < factors.length; i++) {
      factors[i] = (float) (factors[i] * 0.02) + 0.99f;
    }
    return factors;
  }

  /**
   * Replays the gate alone: its logits, the losses, and the gradient that the layer's backward sent
   * into it.
   */
  private void compareGate(BlockReplay<MoeLayer> block) {
    Tensor x = replay.tensor(gateInput(), tokens, golden.hyper("H").asInt());
    replay.close("logits", block.logits(x).toFloats());

    replay.freshPass();
    Tensor logits = replay.input("logits");
    Routes routes = gate.route(logits, used, config.gate().loss().auxiliary());
    float auxiliary = routes.losses().getFloat(0);
    replay.backward(routes.weight(), block.weightGradient());
    float[] recorded = golden.floats("grad_logits");
    float[] gradient = replay.gradientOf(logits);
    if (used != null) {
      recorded = Layouts.cleared(recorded, used);
      auxiliary = gate.auxiliaryLoss(block.routes().counts());
    }
    replay.close("grad_logits", recorded, gradient);
    replay.close("l_aux", auxiliary);
    // "out" is already compared; the objective from the recorded output checks the auxiliary part.
    double coefficientOfPeer = golden.hyper("aux_coef").asDouble();
    replay.close("loss", replay.objective(golden.floats("out")) + coefficientOfPeer * auxiliary);
  }

  private Tensor jittered(Pass pass, Tensor x) {
    float[] factors = jitter();
    if (factors == null) {
      return x;
    }
    Tensor y = product(x, factors);
    Tape tape = pass.tape();
    tape.record(() -> tape.addGradient(x, product(tape.gradient(y), factors)));
    return y;
  }

  /** Multiplies on the host, because our gate samples its own factors while it multiplies. */
  private Tensor product(Tensor x, float[] factors) {
    float[] values = x.toFloats();
    return replay.tensor(Layouts.floats(values.length, i -> values[i] * factors[i]), x.shape());
  }

  /**
   * The peer also selects at random in evaluation, with another capacity factor; ours does not. So
   * an evaluation is replayed as a training pass with the evaluation's factor.
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
    double part = GateReplay.usedPart(used);
    // The peer's means are over all tokens, ours over the used.
    return GateReplay.config(
        Math.min(topK, GateReplay.ANY_K),
        topK,
        policy,
        factor,
        golden.hyper("min_capacity").asInt(),
        golden.hyper("aux_coef").asDouble() * part * part);
  }
}
