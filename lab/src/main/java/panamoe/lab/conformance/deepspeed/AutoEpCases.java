package panamoe.lab.conformance.deepspeed;

import java.util.Arrays;
import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.moe.Experts;
import panamoe.moe.Gate;
import panamoe.tensor.Tensor;

/** DeepSpeed's AutoEP: its router for DeepSeek-like models and its grouped experts. */
public final class AutoEpCases {
  private static final List<String> BIASES = List.of("expert_bias", "e_score_correction_bias");

  private AutoEpCases() {}

  public static void router(Replay replay) {
    GoldenFile golden = replay.golden();
    int experts = golden.hyper("E").asInt();
    WeightMap weights =
        new WeightMap("", "grad_")
            .put("weight", "gate_weight")
            .put("bias", "gate_bias")
            .given("correction", correction(golden, experts));
    try (BlockReplay<Gate> block =
        new BlockReplay<>(
            replay, weights, at -> new Gate(at, golden.size("x", 1), experts, gate(golden)))) {
      Tensor x = replay.input("x");
      Routes routes = block.layer().route(block.pass(), x, null, x.size(0), null, null);
      RouteTable ours = RouteTable.of(routes);
      // Recorded columns are in the order of experts.
      RouteTable sorted = ours.byExpert();
      replay.exact("selected_experts", sorted.expert());
      replay.close("top_scores", sorted.weight());
      replay.exact("tokens_per_expert", ours.counts());
      float[] byExpert =
          ours.scattered(golden.longs("selected_experts"), golden.floats("upstream"));
      replay.backward(routes.weight(), ours.atRoutes(byExpert));
      replay.close("grad_x", replay.gradientOf(x));
      block.compareGradients();
    }
  }

  private static GateConfig gate(GoldenFile golden) {
    Score score =
        switch (golden.hyper("score").asString()) {
          case "softmax" -> Score.SOFTMAX;
          case "sigmoid" -> Score.SIGMOID;
          case String other -> throw new IllegalArgumentException("unknown score '" + other + "'");
        };
    Normalization normalization =
        golden.hyper("norm").asBoolean() ? Normalization.CHOSEN : Normalization.RAW;
    return Gates.dropless(
            golden.hyper("k").asInt(),
            golden.has("gate_bias"),
            score,
            new GateConfig.RouteWeight(normalization, 0, 1e-20, golden.hyper("scale").asDouble()))
        .withChoice(choice(golden));
  }

  private static GateConfig.Choice choice(GoldenFile golden) {
    boolean grouped = !golden.hyper("group").isNull();
    GroupScore groupScore =
        switch (golden.hyper("group").asString()) {
          case "max", "" -> GroupScore.MAXIMUM;
          case "top2_sum" -> GroupScore.TOP2_SUM;
          case String other ->
              throw new IllegalArgumentException("unknown group score '" + other + "'");
        };
    return new GateConfig.Choice(
        grouped ? golden.hyper("num_expert_groups").asInt() : 1,
        grouped ? golden.hyper("num_limited_groups").asInt() : 1,
        groupScore,
        BIASES.stream().anyMatch(golden::has),
        GateConfig.Noise.NONE);
  }

  /** The peer adds two biases to the scores for the choice; ours takes their sum. */
  private static float[] correction(GoldenFile golden, int experts) {
    float[] sum = new float[experts];
    for (String name : BIASES) {
      float[] bias = golden.has(name) ? golden.floats(name) : new float[experts];
      for (int e = 0; e < experts; e++) {
        sum[e] += bias[e];
      }
    }
    return sum;
  }

  public static void groupedExperts(Replay replay) {
    GoldenFile golden = replay.golden();
    int experts = golden.size("w.w1", 0);
    int inner = golden.size("w.w1", 1);
    int hidden = golden.size("w.w1", 2);
    long[] counts = golden.longs("tokens_per_expert");
    long[] offsets = new long[counts.length + 1];
    for (int e = 0; e < counts.length; e++) {
      offsets[e + 1] = offsets[e] + counts[e];
    }
    int routed = (int) (offsets[counts.length] * hidden);
    MoeConfig config =
        MoeConfig.of(experts, inner, Activation.SWIGLU, false, GateConfig.dropless(1));
    WeightMap weights =
        new WeightMap()
            .put("up.weight", Axes.of(2, experts, inner, hidden).as(1, 0, 2, 3), "w1", "w3")
            .put("down.weight", "w2");
    try (BlockReplay<Experts> block =
        new BlockReplay<>(
            replay, weights, at -> new Experts(at, hidden, config, at.ranks().experts(experts)))) {
      Tensor x = replay.input("x");
      Tensor out = block.layer().forward(block.pass(), x, replay.integers(offsets, offsets.length));
      closeRouted(replay, "out", out.toFloats(), routed);
      replay.backward(out, golden.floats("upstream"));
      closeRouted(replay, "grad_x", replay.gradientOf(x), routed);
      block.compareGradients();
    }
    if (routed < golden.floats("out").length) {
      replay.note("rows past the last group are zero in the peer, undefined in ours");
    }
  }

  private static void closeRouted(Replay replay, String name, float[] actual, int routed) {
    float[] recorded = replay.golden().floats(name);
    replay.close(name, Arrays.copyOf(recorded, routed), Arrays.copyOf(actual, routed));
  }
}
