package panamoe.lab.conformance.transformers;

import java.util.stream.Stream;
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
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.moe.MoeLayer;
import panamoe.tensor.Tensor;

/**
 * The dropless MoE blocks of transformers, each replayed as a {@link MoeLayer}. A block's
 * hyper-parameters and weight names determine its rules, not its class name.
 */
public final class BlockCases {
  private final GoldenFile golden;
  private final int experts;
  private final WeightMap weights = new WeightMap();

  private BlockCases(GoldenFile golden) {
    this.golden = golden;
    this.experts = golden.hyper("experts").asInt();
  }

  public static void block(Replay replay) {
    try (BlockReplay<MoeLayer> block = layer(replay)) {
      Tensor x = replay.rows("x");
      Tensor out = block.layer().forward(block.pass(), x, null, null);
      replay.closeIfRecorded("router_logits", block.logits(x).toFloats());
      if (replay.golden().has("topk_weight")) {
        compareChoice(replay, block.routes());
      }
      if (replay.golden().has("router_scores")) {
        replay.exact("topk_index", block.routes().routes().choice());
        replay.close("router_scores", block.routes().weightByExpert());
      }
      block.compare(x, out);
    }
  }

  /** The peer's order of a token's experts is arbitrary, so weights are compared by expert. */
  private static void compareChoice(Replay replay, RouteTable ours) {
    long[] index = replay.golden().longs("topk_index");
    float[] recorded = ours.scattered(index, replay.golden().floats("topk_weight"));
    long[] counts = new long[ours.experts()];
    for (long expert : index) {
      counts[(int) expert]++;
    }
    replay.exact("counts of topk_index", counts, ours.counts());
    replay.close("topk_weight by expert", recorded, ours.weightByExpert());
  }

  /** A second implementation's output for the inputs of another case. */
  public static void second(Replay replay) {
    String same = replay.golden().setting("same_inputs_as").asString();
    try (GoldenFile inputs = new GoldenFile(replay.golden().path().resolveSibling(same));
        Replay first = new Replay(inputs, replay.backend());
        BlockReplay<MoeLayer> block = layer(first)) {
      Tensor out = block.layer().forward(block.pass(), first.rows("x"), null, null);
      replay.close("out", out.toFloats());
    }
  }

  private static BlockReplay<MoeLayer> layer(Replay replay) {
    BlockCases cases = new BlockCases(replay.golden());
    MoeConfig config =
        cases.golden.has("w.experts.gate_up_proj") ? cases.together() : cases.byExpert();
    return BlockReplay.of(replay, config, cases.weights);
  }

  /** Separate matrices per expert, under one of two sets of names. */
  private MoeConfig byExpert() {
    boolean numbered = golden.has("w.experts.0.w1.weight");
    String gate = "experts.%d." + (numbered ? "w1" : "gate_proj") + ".weight";
    weights
        .put("gate.weight", "gate.weight")
        .put("gate.correction", "gate.e_score_correction_bias")
        .put("experts.up.weight", gate, "experts.%d." + (numbered ? "w3" : "up_proj") + ".weight")
        .put("experts.down.weight", "experts.%d." + (numbered ? "w2" : "down_proj") + ".weight");
    int inner = golden.size("w." + gate.replace("%d", "0"), 0);
    return new MoeConfig(experts, inner, Activation.SWIGLU, false, gate(), shared(), null);
  }

  private MoeConfig.SharedExpert shared() {
    return Stream.of("shared_expert", "shared_experts")
        .filter(name -> golden.has("w." + name + ".gate_proj.weight"))
        .findFirst()
        .map(
            name -> {
              weights
                  .put("shared.up.weight", name + ".gate_proj.weight", name + ".up_proj.weight")
                  .put("shared.down.weight", name + ".down_proj.weight")
                  .put("shared.gate.weight", name + "_gate.weight");
              return new MoeConfig.SharedExpert(
                  golden.size("w." + name + ".gate_proj.weight", 0),
                  golden.has("w." + name + "_gate.weight"));
            })
        .orElse(null);
  }

  /**
   * One tensor for all experts. The peer's up matrix is transposed and alternates gate and up rows.
   */
  private MoeConfig together() {
    int hidden = golden.hyper("hidden").asInt();
    int inner = golden.hyper("intermediate").asInt();
    weights
        .put("gate.weight", "router.weight")
        .put("gate.bias", "router.bias")
        .put(
            "experts.up.weight",
            Axes.of(experts, hidden, inner, 2).as(0, 3, 2, 1),
            "experts.gate_up_proj")
        .put("experts.up.bias", Axes.of(experts, inner, 2).as(0, 2, 1), "experts.gate_up_proj_bias")
        .put(
            "experts.down.weight", Axes.of(experts, inner, hidden).as(0, 2, 1), "experts.down_proj")
        .put("experts.down.bias", "experts.down_proj_bias");
    float limit = (float) golden.hyper("limit").asDouble();
    float alpha = (float) golden.hyper("alpha").asDouble();
    return MoeConfig.of(experts, inner, Activation.clampedSwiglu(limit, alpha, 1), true, gate());
  }

  private GateConfig gate() {
    boolean corrected = golden.has("w.gate.e_score_correction_bias");
    return Gates.dropless(
            golden.hyper("top_k").asInt(),
            golden.has("w.router.bias"),
            corrected ? Score.SIGMOID : Score.SOFTMAX,
            weight())
        .withChoice(choice(corrected));
  }

  /**
   * Groups are chosen by the sum of their two best scores with a correction bias, by their best
   * score without it, or not at all.
   */
  private Choice choice(boolean corrected) {
    String method = golden.optionalHyper("topk_method").asString();
    if (!corrected && !method.equals("group_limited_greedy")) {
      return Choice.BEST;
    }
    return new Choice(
        golden.hyper("n_group").asInt(),
        golden.hyper("topk_group").asInt(),
        corrected ? GroupScore.TOP2_SUM : GroupScore.MAXIMUM,
        corrected,
        Noise.NONE);
  }

  /**
   * A peer without {@code norm_topk_prob} always normalises; a softmax over the k best logits
   * equals the normalised softmax over all. A peer with {@code topk_method} ignores {@code
   * norm_topk_prob}.
   */
  private RouteWeight weight() {
    boolean chosen =
        golden.optionalHyper("norm_topk_prob").asBoolean(true)
            && golden.optionalHyper("topk_method").isMissingNode();
    Normalization normalization = chosen ? Normalization.CHOSEN : Normalization.RAW;
    return golden.optionalHyper("routed_scaling_factor").isMissingNode()
        ? RouteWeight.of(normalization)
        : new RouteWeight(
            normalization, 0, 1e-20, golden.hyper("routed_scaling_factor").asDouble());
  }
}
