package panamoe.lab.conformance.transformers;

import panamoe.backend.Activation;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Choice;
import panamoe.config.GateConfig.Noise;
import panamoe.config.GateConfig.RouteWeight;
import panamoe.config.MoeConfig;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.Comparison;
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.moe.MoeLayer;
import panamoe.tensor.Tensor;

/**
 * The MoE blocks of transformers that drop nothing: Mixtral, Qwen2-MoE, Qwen3-MoE, DeepSeek-V2, V3
 * and GPT-OSS, each a {@link MoeLayer} with its configuration.
 */
public final class BlockCases {
  private BlockCases() {}

  public static void mixtral(Replay replay) {
    try (BlockReplay<MoeLayer> block = mixtralBlock(replay)) {
      compare(replay, block);
    }
  }

  /** Another implementation's output for the inputs of a Mixtral case that lies beside it. */
  public static void secondMixtral(Replay replay) {
    String same = replay.golden().setting("same_inputs_as").asText();
    try (GoldenFile inputs = new GoldenFile(replay.golden().path().resolveSibling(same));
        Replay first = new Replay(inputs, replay.backend(), new Comparison());
        BlockReplay<MoeLayer> block = mixtralBlock(first)) {
      Tensor out = block.layer().forward(block.pass(), first.rows("x"), null, null);
      replay.close("out", out.toFloats());
    }
  }

  private static BlockReplay<MoeLayer> mixtralBlock(Replay replay) {
    GoldenFile golden = replay.golden();
    WeightMap weights =
        new WeightMap()
            .put("gate.weight", "gate.weight")
            .put("experts.up.weight", "experts.%d.w1.weight", "experts.%d.w3.weight")
            .put("experts.down.weight", "experts.%d.w2.weight");
    MoeConfig config =
        swiglu(
            golden,
            golden.size("w.experts.0.w1.weight", 0),
            Gates.softmax(golden.hyper("top_k").asInt(), Normalization.CHOSEN),
            null);
    return BlockReplay.of(replay, config, weights);
  }

  public static void qwen3(Replay replay) {
    projected(replay, qwenGate(replay.golden()), null, new WeightMap());
  }

  public static void qwen2(Replay replay) {
    WeightMap weights =
        sharedExpert("shared_expert").put("shared.gate.weight", "shared_expert_gate.weight");
    int inner = replay.golden().size("w.shared_expert.gate_proj.weight", 0);
    projected(replay, qwenGate(replay.golden()), new MoeConfig.SharedExpert(inner, true), weights);
  }

  private static GateConfig qwenGate(GoldenFile golden) {
    boolean normalized = golden.hyper("norm_topk_prob").asBoolean();
    return Gates.softmax(
        golden.hyper("top_k").asInt(), normalized ? Normalization.CHOSEN : Normalization.RAW);
  }

  /** Softmax scores, groups by their best expert; this peer ignores norm_topk_prob. */
  public static void deepSeekV2(Replay replay) {
    GoldenFile golden = replay.golden();
    GateConfig gate = deepSeekGate(golden, Score.SOFTMAX, false);
    boolean grouped = golden.hyper("topk_method").asText().equals("group_limited_greedy");
    deepSeek(
        replay,
        grouped ? gate.withChoice(groups(golden, GroupScore.MAXIMUM, false)) : gate,
        sharedExpert("shared_experts"));
  }

  public static void deepSeekV3(Replay replay) {
    GoldenFile golden = replay.golden();
    boolean normalized = golden.hyper("norm_topk_prob").asBoolean();
    GateConfig gate = deepSeekGate(golden, Score.SIGMOID, normalized);
    deepSeek(
        replay,
        gate.withChoice(groups(golden, GroupScore.TOP2_SUM, true)),
        sharedExpert("shared_experts").put("gate.correction", "gate.e_score_correction_bias"));
  }

  private static void deepSeek(Replay replay, GateConfig gate, WeightMap weights) {
    int inner = replay.golden().size("w.shared_experts.gate_proj.weight", 0);
    projected(replay, gate, new MoeConfig.SharedExpert(inner, false), weights);
  }

  private static GateConfig deepSeekGate(GoldenFile golden, Score score, boolean normalized) {
    RouteWeight weight =
        new RouteWeight(
            normalized ? Normalization.CHOSEN : Normalization.RAW,
            0,
            1e-20,
            golden.hyper("routed_scaling_factor").asDouble());
    return Gates.dropless(golden.hyper("top_k").asInt(), score, weight);
  }

  private static Choice groups(GoldenFile golden, GroupScore score, boolean correctionBias) {
    return new Choice(
        golden.hyper("n_group").asInt(),
        golden.hyper("topk_group").asInt(),
        score,
        correctionBias,
        Noise.NONE);
  }

  /** The peer's up matrix has the gate's rows and the others in turn, and is transposed. */
  public static void gptOss(Replay replay) {
    GoldenFile golden = replay.golden();
    int experts = golden.hyper("experts").asInt();
    int hidden = golden.hyper("hidden").asInt();
    int inner = golden.hyper("intermediate").asInt();
    WeightMap weights =
        new WeightMap()
            .put("gate.weight", "router.weight")
            .put("gate.bias", "router.bias")
            .put(
                "experts.up.weight",
                Axes.of(experts, hidden, inner, 2).as(0, 3, 2, 1),
                "experts.gate_up_proj")
            .put(
                "experts.up.bias",
                Axes.of(experts, inner, 2).as(0, 2, 1),
                "experts.gate_up_proj_bias")
            .put(
                "experts.down.weight",
                Axes.of(experts, inner, hidden).as(0, 2, 1),
                "experts.down_proj")
            .put("experts.down.bias", "experts.down_proj_bias");
    // A softmax over the k best logits is the softmax over all, normalised over the chosen.
    GateConfig gate =
        new GateConfig(
            golden.hyper("top_k").asInt(),
            true,
            Score.SOFTMAX,
            Choice.BEST,
            RouteWeight.of(Normalization.CHOSEN),
            GateConfig.Capacity.DROPLESS,
            Gates.NO_LOSS);
    float limit = (float) golden.hyper("limit").asDouble();
    float alpha = (float) golden.hyper("alpha").asDouble();
    Activation activation = Activation.clampedSwiglu(limit, alpha, 1);
    MoeConfig config = MoeConfig.of(experts, inner, activation, true, gate);
    try (BlockReplay<MoeLayer> block = BlockReplay.of(replay, config, weights)) {
      compare(replay, block);
    }
  }

  private static WeightMap sharedExpert(String name) {
    return new WeightMap()
        .put("shared.up.weight", name + ".gate_proj.weight", name + ".up_proj.weight")
        .put("shared.down.weight", name + ".down_proj.weight");
  }

  /** Experts whose matrices are called gate_proj, up_proj and down_proj. */
  private static void projected(
      Replay replay, GateConfig gate, MoeConfig.SharedExpert shared, WeightMap weights) {
    weights
        .put("gate.weight", "gate.weight")
        .put("experts.up.weight", "experts.%d.gate_proj.weight", "experts.%d.up_proj.weight")
        .put("experts.down.weight", "experts.%d.down_proj.weight");
    int inner = replay.golden().size("w.experts.0.gate_proj.weight", 0);
    MoeConfig config = swiglu(replay.golden(), inner, gate, shared);
    try (BlockReplay<MoeLayer> block = BlockReplay.of(replay, config, weights)) {
      compare(replay, block);
    }
  }

  private static MoeConfig swiglu(
      GoldenFile golden, int inner, GateConfig gate, MoeConfig.SharedExpert shared) {
    int experts = golden.hyper("experts").asInt();
    return new MoeConfig(experts, inner, Activation.SWIGLU, false, gate, shared, null);
  }

  private static void compare(Replay replay, BlockReplay<MoeLayer> block) {
    Tensor x = replay.rows("x");
    Tensor out = block.layer().forward(block.pass(), x, null, null);
    if (replay.golden().has("router_logits")) {
      replay.close("router_logits", block.logits(x).toFloats());
    }
    if (replay.golden().has("topk_weight")) {
      compareChoice(replay, block.routes());
    }
    if (replay.golden().has("router_scores")) {
      replay.exact("topk_index", block.routes().choice());
      replay.close("router_scores", block.routes().weightByExpert());
    }
    block.compare(x, out);
  }

  /** The peer's columns are in no particular order: weights are compared by expert. */
  private static void compareChoice(Replay replay, RouteTable ours) {
    long[] index = replay.golden().longs("topk_index");
    float[] recorded = ours.scattered(index, replay.golden().floats("topk_weight"));
    long[] counts = new long[ours.experts()];
    for (long expert : index) {
      counts[(int) expert]++;
    }
    replay.comparison().exact("counts of topk_index", counts, ours.counts());
    replay.comparison().close("topk_weight by expert", recorded, ours.weightByExpert());
  }
}
