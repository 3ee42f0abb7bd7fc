package panamoe.harness.conformance.deepspeed;

import java.util.Arrays;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Replay;
import panamoe.harness.conformance.replay.RouteTable;
import panamoe.harness.conformance.replay.Rules;
import panamoe.op.ExpertOp;
import panamoe.op.GateOp;
import panamoe.op.LinearOp;
import panamoe.tensor.Tensor;

/** DeepSpeed's AutoEP: its router for DeepSeek-like models and its grouped experts. */
public final class AutoEpCases {
  private AutoEpCases() {}

  public static void router(Replay replay) {
    GoldenFile golden = replay.golden();
    Tensor x = replay.input("x");
    Tensor weight = replay.parameter("gate_weight");
    Tensor bias = golden.has("gate_bias") ? replay.parameter("gate_bias") : null;
    Tensor logits = LinearOp.forward(replay.pass(), x, weight, bias, Activation.IDENTITY);
    GateOp.Inputs inputs = new GateOp.Inputs(null, choiceBias(replay), null, null);
    Routes routes = GateOp.forward(replay.pass(), rules(golden), logits, inputs, 0, 0);
    RouteTable ours = RouteTable.of(routes);
    // Recorded columns are in the order of experts.
    RouteTable sorted = ours.byExpert();
    replay.exact("selected_experts", sorted.expert());
    replay.close("top_scores", sorted.weight());
    replay.exact("tokens_per_expert", ours.counts());
    float[] byExpert = ours.scattered(golden.longs("selected_experts"), golden.floats("upstream"));
    replay.backward(routes.weight(), ours.atRoutes(byExpert));
    replay.close("grad_x", replay.gradientOfInput(x));
    replay.close("grad_gate_weight", replay.gradientOf(weight));
    if (bias != null) {
      replay.close("grad_gate_bias", replay.gradientOf(bias));
    }
  }

  private static GateSettings rules(GoldenFile golden) {
    Score score =
        switch (golden.hyper("score").asText()) {
          case "softmax" -> Score.SOFTMAX;
          case "sigmoid" -> Score.SIGMOID;
          case String other -> throw new IllegalArgumentException("unknown score '" + other + "'");
        };
    Normalization normalization =
        golden.hyper("norm").asBoolean() ? Normalization.CHOSEN : Normalization.RAW;
    GateSettings rules =
        Rules.withWeights(
            Rules.dropless(golden.hyper("k").asInt(), score, normalization),
            1e-20,
            golden.hyper("scale").asDouble());
    if (golden.hyper("group").isNull()) {
      return rules;
    }
    GroupScore groupScore =
        switch (golden.hyper("group").asText()) {
          case "max" -> GroupScore.MAXIMUM;
          case "top2_sum" -> GroupScore.TOP2_SUM;
          case String other ->
              throw new IllegalArgumentException("unknown group score '" + other + "'");
        };
    return Rules.withGroups(
        rules,
        golden.hyper("num_expert_groups").asInt(),
        golden.hyper("num_limited_groups").asInt(),
        groupScore);
  }

  /** The peer adds two biases to the scores for the choice; ours takes their sum. */
  private static Tensor choiceBias(Replay replay) {
    GoldenFile golden = replay.golden();
    float[] sum = new float[golden.hyper("E").asInt()];
    boolean biased = false;
    for (String name : new String[] {"expert_bias", "e_score_correction_bias"}) {
      if (golden.has(name)) {
        biased = true;
        float[] bias = golden.floats(name);
        for (int e = 0; e < sum.length; e++) {
          sum[e] += bias[e];
        }
      }
    }
    return biased ? replay.tensor(sum, sum.length) : null;
  }

  public static void groupedExperts(Replay replay) {
    GoldenFile golden = replay.golden();
    long[] counts = golden.longs("tokens_per_expert");
    long[] offsets = new long[counts.length + 1];
    for (int e = 0; e < counts.length; e++) {
      offsets[e + 1] = offsets[e] + counts[e];
    }
    long[] shape = golden.shape("w.w1");
    int block = (int) (shape[1] * shape[2]);
    Tensor x = replay.input("x");
    Tensor offsetTable = replay.integers(offsets, offsets.length);
    Tensor up =
        replay.parameter(
            Layouts.inTurn(golden.floats("w.w1"), golden.floats("w.w3"), block),
            shape[0],
            2 * shape[1],
            shape[2]);
    Tensor down = replay.parameter("w.w2");
    Tensor inner = ExpertOp.forward(replay.pass(), x, offsetTable, up, null, Activation.SWIGLU);
    Tensor out =
        ExpertOp.forward(replay.pass(), inner, offsetTable, down, null, Activation.IDENTITY);
    int routed = (int) (offsets[counts.length] * shape[2]);
    replay
        .comparison()
        .close("out", head(golden.floats("out"), routed), head(out.toFloats(), routed));
    replay.backward(out, golden.floats("upstream"));
    replay
        .comparison()
        .close(
            "grad_x",
            head(golden.floats("grad_x"), routed),
            head(replay.gradientOfInput(x), routed));
    float[] both = replay.gradientOf(up);
    replay.close("grad.w1", Layouts.blocks(both, block, i -> i % 2 == 0));
    replay.close("grad.w3", Layouts.blocks(both, block, i -> i % 2 == 1));
    replay.close("grad.w2", replay.gradientOf(down));
    if (routed < golden.floats("out").length) {
      replay.comparison().note("rows past the last group are zero in the peer, undefined in ours");
    }
  }

  private static float[] head(float[] values, int count) {
    return Arrays.copyOf(values, count);
  }
}
