package panamoe.lab.conformance.megablocks;

import java.util.Arrays;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.moe.MoeLayer;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * MegaBlocks' MoE with capacity and its dropless MoE, with plain and gated experts, with and
 * without a shared expert. Uses a {@link MoeLayer}, or a {@link ComposedLayer} for rules that no
 * configuration has.
 */
public final class MegaBlocksCases {
  /** Loss factors that the recorded losses include. */
  private static final float AUXILIARY = 0.1f;

  private static final float Z = 1e-3f;

  private final Replay replay;
  private final GoldenFile golden;
  private final int topK;
  private final int hidden;
  private final Tensor x;
  private final boolean gated;
  private final double expertScale;
  private final MoeConfig config;
  private Tensor bias;

  /** A layer's forward: x [S, M] and skip [S, M] or null to [S, M]. */
  interface Layer {
    Tensor forward(Pass pass, Tensor x, Tensor skip);
  }

  private MegaBlocksCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    this.topK = golden.hyper("k").asInt();
    this.hidden = golden.hyper("H").asInt();
    this.x = replay.rows("x");
    this.gated = golden.hyper("mlp").asString().equals("glu");
    // With the shared expert "wsum" the output is (shared + k * experts) / (k + 1).
    this.expertScale = golden.hyper("wsum").asBoolean() ? topK / (topK + 1.0) : 1;
    Activation activation = Layouts.activation(golden.hyper("act").asString());
    String shared = "w.shared_expert.up_proj.";
    this.config =
        new MoeConfig(
            golden.hyper("E").asInt(),
            golden.hyper("FF").asInt(),
            gated && activation.equals(Activation.SILU) ? Activation.SWIGLU : activation,
            golden.has(shared + "bias"),
            gate(),
            golden.hyper("shared").asBoolean()
                ? new MoeConfig.SharedExpert(golden.size(shared + "weight", 0), false)
                : null,
            null);
  }

  public static void layer(Replay replay) {
    new MegaBlocksCases(replay).compare();
  }

  private GateConfig gate() {
    boolean sums = golden.hyper("norm").asDouble() == 1;
    Normalization normalization = sums ? Normalization.CHOSEN : Normalization.RAW;
    double scale = isEuclidean() ? 1 : expertScale;
    return Gates.dropless(
            topK, false, Score.SOFTMAX, new GateConfig.RouteWeight(normalization, 0, 0, scale))
        .withCapacity(capacity())
        .withLoss(new GateConfig.Loss(true, AUXILIARY, Z));
  }

  /** A fixed capacity, because the peer rounds it down and ours up. */
  private GateConfig.Capacity capacity() {
    double factor = golden.hyper("cf").asDouble();
    if (golden.hyper("kind").asString().equals("dmoe") || factor == 0) {
      return GateConfig.Capacity.DROPLESS;
    }
    long capacity = (long) (factor * topK * x.size(0) / golden.hyper("E").asInt());
    replay.exact("expert_capacity", golden.setting("expert_capacity").asLong(), capacity);
    return Gates.first(capacity, QueueOrder.TOKEN_MAJOR);
  }

  /** True if weights are divided by their 2-norm; 1 means their sum, null nothing. */
  private boolean isEuclidean() {
    return golden.hyper("norm").asDouble() == 2;
  }

  /** True if the experts are gated by another activation than SiLU. */
  private boolean isOtherwiseGated() {
    return gated && !config.activation().equals(Activation.SWIGLU);
  }

  private void compare() {
    try (BlockReplay<Layer> block = new BlockReplay<>(replay, weights(), this::layer)) {
      Pass pass = block.pass();
      Tensor out = block.layer().forward(pass, x, biasRows(pass));
      boolean drops = config.gate().capacity().policy() != DropPolicy.DROPLESS;
      RouteTable asked =
          drops && !(block.layer() instanceof ComposedLayer)
              ? block.decide(config.gate().withoutDropping(), x)
              : block.routes();
      compareRouter(asked);
      double losses = AUXILIARY * asked.losses().auxiliary() + Z * asked.losses().z();
      replay.close("loss", replay.objective(out.toFloats()) + losses);
      block.compare(x, out);
      if (bias != null) {
        replay.close("grad.experts.bias", Layouts.scaled(replay.gradientOf(bias), expertScale));
      }
    }
  }

  private Layer layer(Declarations at) {
    if (isEuclidean() || isOtherwiseGated()) {
      // w / |w|_2 over the K weights of a token is their RMSNorm with gamma 1 / sqrt(K).
      float gamma = (float) (expertScale / Math.sqrt(topK));
      return new ComposedLayer(
          replay,
          at,
          hidden,
          config,
          isOtherwiseGated(),
          isEuclidean() ? replay.constant(gamma, topK) : null);
    }
    MoeLayer layer = new MoeLayer(at, 0, hidden, config);
    return (pass, input, skip) -> layer.forward(pass, input, skip, null);
  }

  /** The dropless layer stores all matrices as [E * F, H], the other as [E, H, F] and [E, F, H]. */
  private WeightMap weights() {
    int experts = config.experts();
    int inner = config.inner();
    boolean dropless = golden.hyper("kind").asString().equals("dmoe");
    WeightMap weights =
        new WeightMap()
            .put("gate.weight", "router.layer.weight")
            .put(
                "experts.up.weight",
                dropless ? Axes.SAME : Axes.of(experts, hidden, inner).as(0, 2, 1),
                "experts.mlp.w1")
            .given("experts.up.bias", new float[experts * inner])
            .put(
                "experts.down.weight",
                Axes.of(experts, inner, hidden).as(0, 2, 1),
                "experts.mlp.w2")
            .given("experts.down.bias", new float[experts * hidden])
            .put("shared.up.weight", "shared_expert.up_proj.weight")
            .put("shared.up.bias", "shared_expert.up_proj.bias");
    if (isOtherwiseGated()) {
      weights
          .put("experts.gate.weight", "experts.mlp.w1")
          .put("experts.up.weight", "experts.mlp.v1")
          .put("shared.gate.weight", "shared_expert.gate_proj.weight");
    } else if (gated) {
      Axes expertByExpert = Axes.of(2, experts, inner, hidden).as(1, 0, 2, 3);
      String[] shared = {"shared_expert.gate_proj.weight", "shared_expert.up_proj.weight"};
      weights
          .put("experts.up.weight", expertByExpert, "experts.mlp.w1", "experts.mlp.v1")
          .put("shared.up.weight", shared);
    }
    double sharedScale = golden.hyper("wsum").asBoolean() ? 1 / (topK + 1.0) : 1;
    return weights
        .scaled("shared.down.weight", sharedScale, "shared_expert.down_proj.weight")
        .scaled("shared.down.bias", sharedScale, "shared_expert.down_proj.bias");
  }

  /** Compares routes before drops. Both normalise over the chosen experts, then drop. */
  private void compareRouter(RouteTable table) {
    replay.close("router_scores", table.scores());
    replay.exact("top_experts", table.routes().choice());
    replay.exact("tokens_per_expert", table.counts());
    replay.close("expert_weights", Layouts.scaled(table.routes().weight(), 1 / expertScale));
    long[] routeOfRow = new long[table.routes().expert().length];
    long[] expertOfRow = new long[routeOfRow.length];
    for (int route = 0; route < routeOfRow.length; route++) {
      int expert = (int) table.routes().expert()[route];
      int row = (int) (table.offsets()[expert] + table.routes().position()[route]);
      routeOfRow[row] = route;
      expertOfRow[row] = expert;
    }
    replay.exact("sorted_indices", routeOfRow);
    replay.exact("sorted_bin_ids", expertOfRow);
    replay.exact("bins", Arrays.copyOfRange(table.offsets(), 1, table.offsets().length));
    replay.close("load_balancing_loss", AUXILIARY * table.losses().auxiliary());
    replay.close("router_zloss", Z * table.losses().z());
  }

  /** The experts' common bias, added to every token: a linear layer with zero input. */
  private Tensor biasRows(Pass pass) {
    if (!golden.has("w.experts.bias")) {
      return null;
    }
    float[] scaled = Layouts.scaled(golden.floats("w.experts.bias"), expertScale);
    bias = replay.parameter(scaled, scaled.length);
    Tensor nothing = replay.scope().zeros(DType.FLOAT32, x.size(0), 1);
    Tensor weight = replay.scope().zeros(DType.FLOAT32, scaled.length, 1);
    return LinearOp.forward(pass, nothing, weight, bias, Activation.IDENTITY);
  }
}
