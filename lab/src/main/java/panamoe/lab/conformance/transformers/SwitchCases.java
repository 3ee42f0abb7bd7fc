package panamoe.lab.conformance.transformers;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import panamoe.backend.Activation;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.moe.MoeLayer;
import panamoe.op.GateOp;
import panamoe.tensor.Tensor;

/** Switch Transformers' sparse MLP and its router losses. */
public final class SwitchCases {
  private SwitchCases() {}

  /** The peer's capacity is per sequence, so each sequence is a separate call. */
  public static void layer(Replay replay) {
    GoldenFile golden = replay.golden();
    GateConfig gate =
        Gates.softmax(1, Normalization.RAW)
            .withCapacity(
                Gates.first(golden.hyper("expert_capacity").asLong(), QueueOrder.TOKEN_MAJOR));
    MoeConfig config =
        MoeConfig.of(
            golden.hyper("experts").asInt(),
            golden.hyper("d_ff").asInt(),
            Activation.RELU,
            false,
            gate);
    WeightMap weights =
        new WeightMap()
            .put("gate.weight", "router.classifier.weight")
            .put("experts.up.weight", "experts.expert_%d.wi.weight")
            .put("experts.down.weight", "experts.expert_%d.wo.weight");
    try (BlockReplay<MoeLayer> block = BlockReplay.of(replay, config, weights)) {
      compare(replay, block);
    }
  }

  private static void compare(Replay replay, BlockReplay<MoeLayer> block) {
    GoldenFile golden = replay.golden();
    int length = golden.size("x", 1);
    int hidden = golden.size("x", 2);
    int size = length * hidden;
    float[] x = golden.floats("x");
    float[] upstream = golden.floats("upstream");
    float[] out = new float[x.length];
    float[] gradient = new float[x.length];
    List<float[]> bestScores = new ArrayList<>();
    LongStream.Builder kept = LongStream.builder();
    for (int from = 0; from < x.length; from += size) {
      replay.freshPass();
      Tensor sequence = replay.tensor(Arrays.copyOfRange(x, from, from + size), length, hidden);
      Tensor y = block.layer().forward(block.pass(), sequence, null, null);
      System.arraycopy(y.toFloats(), 0, out, from, size);
      bestScores.add(bestScores(block.routes()));
      Arrays.stream(block.routes().firstKept()).forEach(kept);
      replay.backward(y, Arrays.copyOfRange(upstream, from, from + size));
      System.arraycopy(replay.gradientOf(sequence), 0, gradient, from, size);
    }
    replay.close("router_logits", block.logits(replay.rows("x")).toFloats());
    replay.close("router_prob", Layouts.concatenated(bestScores.toArray(float[][]::new)));
    replay.exact("router_mask", kept.build().toArray());
    replay.close("out", out);
    replay.close("grad_x", gradient);
    block.compareGradients();
  }

  /** Each token's best score, also of dropped routes. */
  private static float[] bestScores(RouteTable table) {
    return Layouts.floats(
        table.tokens(),
        s -> table.scores()[s * table.experts() + (int) table.routes().choice()[s]]);
  }

  /** Both losses are means over the groups of the batch. */
  public static void losses(Replay replay) {
    GoldenFile golden = replay.golden();
    int groups = golden.size("router_logits", 0);
    int tokens = golden.size("router_logits", 1);
    int experts = golden.size("router_logits", 2);
    float[] all = golden.floats("router_logits");
    GateSettings rules = Gates.softmax(1, Normalization.RAW).settings(tokens, experts, true);
    List<float[]> balance = new ArrayList<>();
    List<float[]> z = new ArrayList<>();
    LongStream.Builder chosen = LongStream.builder();
    double auxiliarySum = 0;
    double zSum = 0;
    for (int group = 0; group < groups; group++) {
      int size = tokens * experts;
      float[] logits = Arrays.copyOfRange(all, group * size, (group + 1) * size);
      balance.add(gradient(replay, rules, logits, experts, 1f / groups, 0));
      z.add(gradient(replay, rules, logits, experts, 0, 1f / groups));
      replay.freshPass();
      RouteTable table = RouteTable.of(replay.route(rules, replay.tensor(logits, tokens, experts)));
      Arrays.stream(table.routes().choice()).forEach(chosen);
      auxiliarySum += table.losses().auxiliary();
      zSum += table.losses().z();
    }
    replay.exact("expert_index", chosen.build().toArray());
    replay.close("load_balancing_loss", auxiliarySum / groups);
    replay.close("z_loss", zSum / groups);
    replay.close("grad_load_balancing", Layouts.concatenated(balance.toArray(float[][]::new)));
    replay.close("grad_z", Layouts.concatenated(z.toArray(float[][]::new)));
  }

  private static float[] gradient(
      Replay replay, GateSettings rules, float[] values, int experts, float auxiliary, float z) {
    replay.freshPass();
    Tensor logits = replay.tensor(values, values.length / experts, experts);
    GateOp.forward(replay.pass(), rules, GateKernels.Inputs.of(logits), auxiliary, z);
    replay.backward();
    return replay.gradientOf(logits);
  }
}
