package panamoe.harness.conformance.transformers;

import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.harness.conformance.replay.Comparison;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Replay;
import panamoe.harness.conformance.replay.RouteTable;
import panamoe.harness.conformance.replay.Rules;
import panamoe.harness.conformance.replay.SharedExpert;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.GateOp;
import panamoe.op.LinearOp;
import panamoe.tensor.Tensor;

/**
 * The MoE blocks of transformers with SwiGLU experts: Mixtral, Qwen2-MoE, Qwen3-MoE, DeepSeek-V2
 * and V3.
 */
public final class SwigluMoeCases {
  private final Replay replay;
  private final GoldenFile golden;
  private final GateSettings rules;
  private final Tensor x;
  private final Tensor router;
  private final SwigluExperts experts;

  private SwigluMoeCases(Replay replay, GateSettings rules, String gate, String up, String down) {
    this.replay = replay;
    this.golden = replay.golden();
    this.rules = rules;
    this.x = replay.rows("x");
    this.router = replay.parameter("w.gate.weight");
    this.experts = new SwigluExperts(replay, golden.hyper("experts").asInt(), gate, up, down);
  }

  public static void mixtral(Replay replay) {
    SwigluMoeCases block = mixtralBlock(replay);
    block.finish(block.routed(null));
  }

  /** Another implementation's output for the inputs of a Mixtral case that lies beside it. */
  public static void secondMixtral(Replay replay) {
    String same = replay.golden().setting("same_inputs_as").asText();
    try (GoldenFile inputs = new GoldenFile(replay.golden().path().resolveSibling(same));
        Replay first = new Replay(inputs, replay.backend(), new Comparison())) {
      replay.close("out", mixtralBlock(first).routed(null).toFloats());
    }
  }

  public static void qwen3(Replay replay) {
    SwigluMoeCases block = projected(replay, qwenRules(replay.golden()));
    block.finish(block.routed(null));
  }

  public static void qwen2(Replay replay) {
    SwigluMoeCases block = projected(replay, qwenRules(replay.golden()));
    Tensor routed = block.routed(null);
    Tensor gate = replay.parameter("w.shared_expert_gate.weight");
    SwigluExperts shared = shared(replay, "shared_expert.");
    Tensor logits = LinearOp.forward(replay.pass(), block.x, gate, null, Activation.IDENTITY);
    block.finish(SharedExpert.add(replay, block.x, logits, 1, shared::forward, routed));
    replay.close("grad.shared_expert_gate.weight", replay.gradientOf(gate));
    shared.compareGradients();
  }

  /** Softmax scores, groups by their best expert; this peer ignores norm_topk_prob. */
  public static void deepSeekV2(Replay replay) {
    GateSettings rules = deepSeekRules(replay.golden(), Score.SOFTMAX, Normalization.RAW);
    if (replay.golden().hyper("topk_method").asText().equals("group_limited_greedy")) {
      rules = limited(replay.golden(), rules, GroupScore.MAXIMUM);
    }
    deepSeek(replay, rules, null);
  }

  public static void deepSeekV3(Replay replay) {
    GoldenFile golden = replay.golden();
    boolean normalized = golden.hyper("norm_topk_prob").asBoolean();
    GateSettings rules =
        deepSeekRules(golden, Score.SIGMOID, normalized ? Normalization.CHOSEN : Normalization.RAW);
    deepSeek(
        replay,
        limited(golden, rules, GroupScore.TOP2_SUM),
        replay.input("w.gate.e_score_correction_bias"));
  }

  private static void deepSeek(Replay replay, GateSettings rules, Tensor bias) {
    SwigluMoeCases block = projected(replay, rules);
    Tensor routed = block.routed(bias);
    SwigluExperts shared = shared(replay, "shared_experts.");
    block.finish(SharedExpert.add(replay, block.x, null, 1, shared::forward, routed));
    shared.compareGradients();
  }

  private static GateSettings deepSeekRules(
      GoldenFile golden, Score score, Normalization normalization) {
    return Rules.withWeights(
        Rules.dropless(golden.hyper("top_k").asInt(), score, normalization),
        1e-20,
        golden.hyper("routed_scaling_factor").asDouble());
  }

  private static GateSettings limited(GoldenFile golden, GateSettings rules, GroupScore score) {
    return Rules.withGroups(
        rules, golden.hyper("n_group").asInt(), golden.hyper("topk_group").asInt(), score);
  }

  private static GateSettings qwenRules(GoldenFile golden) {
    return Rules.dropless(
        golden.hyper("top_k").asInt(),
        Score.SOFTMAX,
        golden.hyper("norm_topk_prob").asBoolean() ? Normalization.CHOSEN : Normalization.RAW);
  }

  private static SwigluMoeCases mixtralBlock(Replay replay) {
    GateSettings rules =
        Rules.dropless(replay.golden().hyper("top_k").asInt(), Score.SOFTMAX, Normalization.CHOSEN);
    return new SwigluMoeCases(
        replay, rules, "experts.%d.w1.weight", "experts.%d.w3.weight", "experts.%d.w2.weight");
  }

  private static SwigluMoeCases projected(Replay replay, GateSettings rules) {
    return new SwigluMoeCases(
        replay,
        rules,
        "experts.%d.gate_proj.weight",
        "experts.%d.up_proj.weight",
        "experts.%d.down_proj.weight");
  }

  private static SwigluExperts shared(Replay replay, String prefix) {
    return new SwigluExperts(
        replay,
        1,
        prefix + "gate_proj.weight",
        prefix + "up_proj.weight",
        prefix + "down_proj.weight");
  }

  /** Gate, dispatch, experts, combine. */
  private Tensor routed(Tensor bias) {
    Tensor logits = LinearOp.forward(replay.pass(), x, router, null, Activation.IDENTITY);
    if (golden.has("router_logits")) {
      replay.close("router_logits", logits.toFloats());
    }
    Routes routes =
        GateOp.forward(
            replay.pass(), rules, logits, new GateOp.Inputs(null, bias, null, null), 0, 0);
    if (golden.has("topk_index")) {
      compareChoice(RouteTable.of(routes));
    }
    Tensor rows = DispatchOp.forward(replay.pass(), x, routes);
    return CombineOp.forward(
        replay.pass(), experts.forward(rows, routes.offsets()), routes, null, null, null);
  }

  /** The peer's columns are in no particular order: weights are compared by expert. */
  private void compareChoice(RouteTable ours) {
    long[] index = golden.longs("topk_index");
    float[] recorded = ours.scattered(index, golden.floats("topk_weight"));
    long[] counts = new long[ours.experts()];
    for (long expert : index) {
      counts[(int) expert]++;
    }
    replay.comparison().exact("counts of topk_index", counts, ours.counts());
    replay.comparison().close("topk_weight by expert", recorded, ours.weightByExpert());
  }

  private void finish(Tensor out) {
    replay.close("out", out.toFloats());
    replay.backward(out, golden.floats("upstream"));
    replay.close("grad_x", replay.gradientOfInput(x));
    replay.close("grad.gate.weight", replay.gradientOf(router));
    experts.compareGradients();
  }
}
