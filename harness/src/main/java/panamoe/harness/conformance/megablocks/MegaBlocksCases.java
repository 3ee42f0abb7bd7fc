package panamoe.harness.conformance.megablocks;

import java.util.Arrays;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Peers;
import panamoe.harness.conformance.replay.Replay;
import panamoe.harness.conformance.replay.RouteTable;
import panamoe.harness.conformance.replay.Rules;
import panamoe.harness.conformance.replay.SharedExpert;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.GateOp;
import panamoe.op.LinearOp;
import panamoe.op.NormOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * MegaBlocks' MoE with capacity and its dropless MoE, plain and gated experts, with and without a
 * shared expert.
 */
public final class MegaBlocksCases {
  /** Factors that the recorded losses already hold. */
  private static final float AUXILIARY = 0.1f;

  private static final float Z = 1e-3f;

  private final Replay replay;
  private final GoldenFile golden;
  private final int topK;
  private final Tensor x;
  private final Tensor router;
  private final MegaBlocksExperts experts;
  private final double expertScale;
  private Tensor bias;

  private MegaBlocksCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    this.topK = golden.hyper("k").asInt();
    this.x = replay.rows("x");
    this.router = replay.parameter("w.router.layer.weight");
    this.experts = MegaBlocksExperts.routed(replay, activation());
    this.expertScale = golden.hyper("wsum").asBoolean() ? topK / (topK + 1.0) : 1;
  }

  public static void layer(Replay replay) {
    new MegaBlocksCases(replay).compare();
  }

  private Activation activation() {
    return Peers.activation(golden.hyper("act").asText());
  }

  private void compare() {
    Tensor logits = LinearOp.forward(replay.pass(), x, router, null, Activation.IDENTITY);
    Routes asked = GateOp.forward(replay.pass(), rules(), logits, GateOp.Inputs.NONE, AUXILIARY, Z);
    RouteTable table = RouteTable.of(asked);
    Tensor weights = normalized(asked.weight());
    compareRouter(table, weights.toFloats());
    Routes kept = kept(logits, asked);
    Routes weighted =
        new Routes(
            kept.scores(),
            kept.expert(),
            kept.position(),
            weights,
            kept.choice(),
            kept.counts(),
            kept.offsets(),
            kept.losses());
    Tensor rows = DispatchOp.forward(replay.pass(), x, weighted);
    Tensor outputs = experts.forward(rows, weighted.offsets());
    Tensor out = CombineOp.forward(replay.pass(), outputs, weighted, null, null, biasRows());
    MegaBlocksExperts shared = null;
    if (golden.hyper("shared").asBoolean()) {
      shared = MegaBlocksExperts.shared(replay, activation());
      double scale = golden.hyper("wsum").asBoolean() ? 1 / (topK + 1.0) : 1;
      out = SharedExpert.add(replay, x, null, scale, shared::forward, out);
    }
    replay.close("out", out.toFloats());
    double losses = AUXILIARY * table.auxiliaryLoss() + Z * table.zLoss();
    replay.close("loss", replay.objective(out.toFloats()) + losses);
    replay.backward(out, golden.floats("upstream"));
    compareGradients(shared);
  }

  /** With shared expert "wsum" the output is (shared + k * experts) / (k + 1). */
  private GateSettings rules() {
    boolean sums = golden.hyper("norm").isNumber() && golden.hyper("norm").asDouble() == 1;
    GateSettings rules =
        Rules.dropless(topK, Score.SOFTMAX, sums ? Normalization.CHOSEN : Normalization.RAW);
    return Rules.withWeights(rules, 0, euclidean() ? 1 : expertScale);
  }

  private boolean euclidean() {
    if (golden.hyper("norm").isNull() || golden.hyper("norm").asDouble() == 1) {
      return false;
    }
    if (golden.hyper("norm").asDouble() != 2) {
      throw new IllegalArgumentException(
          "weights normalised by the " + golden.hyper("norm") + "-norm are unknown");
    }
    return true;
  }

  /**
   * {@code w / |w|_2} over the K weights of a token is their RMSNorm with gamma {@code 1 /
   * sqrt(K)}.
   */
  private Tensor normalized(Tensor weights) {
    if (!euclidean()) {
      return weights;
    }
    Tensor gamma = replay.constant((float) (expertScale / Math.sqrt(topK)), topK);
    return NormOp.forward(replay.pass(), weights, gamma, null, 0);
  }

  /**
   * The peer normalises over the chosen experts, then drops; so the weights come from the dropless
   * gate, and a second one with the capacity says who is kept. Its capacity is truncated, ours
   * rounded up: here it is an input.
   */
  private Routes kept(Tensor logits, Routes asked) {
    double factor = golden.hyper("cf").asDouble();
    if (golden.hyper("kind").asText().equals("dmoe") || factor == 0) {
      return asked;
    }
    long capacity = (long) (factor * topK * x.size(0) / asked.experts());
    replay
        .comparison()
        .exact("expert_capacity", golden.setting("expert_capacity").asLong(), capacity);
    GateSettings limited = Rules.withCapacity(rules(), QueueOrder.TOKEN_MAJOR, capacity);
    return GateOp.forward(replay.pass(), limited, logits, GateOp.Inputs.NONE, 0, 0);
  }

  private void compareRouter(RouteTable table, float[] weights) {
    replay.close("router_scores", table.scores());
    replay.exact("top_experts", table.choice());
    replay.exact("tokens_per_expert", table.counts());
    replay.close("expert_weights", Layouts.scaled(weights, 1 / expertScale));
    long[] routeOfRow = new long[table.expert().length];
    long[] expertOfRow = new long[routeOfRow.length];
    for (int route = 0; route < routeOfRow.length; route++) {
      int expert = (int) table.expert()[route];
      int row = (int) (table.offsets()[expert] + table.position()[route]);
      routeOfRow[row] = route;
      expertOfRow[row] = expert;
    }
    replay.exact("sorted_indices", routeOfRow);
    replay.exact("sorted_bin_ids", expertOfRow);
    replay.exact("bins", Arrays.copyOfRange(table.offsets(), 1, table.offsets().length));
    replay.close("load_balancing_loss", AUXILIARY * table.auxiliaryLoss());
    replay.close("router_zloss", Z * table.zLoss());
  }

  /**
   * The bias of the experts together, added to every token, as a linear layer that nothing enters.
   */
  private Tensor biasRows() {
    if (!golden.has("w.experts.bias")) {
      return null;
    }
    float[] scaled = Layouts.scaled(golden.floats("w.experts.bias"), expertScale);
    bias = replay.parameter(scaled, scaled.length);
    Tensor nothing = replay.scope().zeros(DType.FLOAT32, x.size(0), 1);
    Tensor weight = replay.scope().zeros(DType.FLOAT32, scaled.length, 1);
    return LinearOp.forward(replay.pass(), nothing, weight, bias, Activation.IDENTITY);
  }

  private void compareGradients(MegaBlocksExperts shared) {
    replay.close("grad_x", replay.gradientOfInput(x));
    replay.close("grad.router.layer.weight", replay.gradientOf(router));
    experts.compareGradients();
    if (bias != null) {
      replay.close("grad.experts.bias", Layouts.scaled(replay.gradientOf(bias), expertScale));
    }
    if (shared != null) {
      shared.compareGradients();
    }
  }
}
