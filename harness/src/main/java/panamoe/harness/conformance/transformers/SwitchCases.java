package panamoe.harness.conformance.transformers;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Replay;
import panamoe.harness.conformance.replay.RouteTable;
import panamoe.harness.conformance.replay.Rules;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.ExpertOp;
import panamoe.op.GateOp;
import panamoe.op.LinearOp;
import panamoe.tensor.Tensor;

/** Switch Transformers' sparse MLP and its router losses. */
public final class SwitchCases {
  private static final String EXPERT = "experts.expert_%d.";

  private SwitchCases() {}

  /**
   * The peer counts capacity in each sequence by itself, so every sequence is a call of its own
   * here.
   */
  public static void layer(Replay replay) {
    GoldenFile golden = replay.golden();
    int experts = golden.hyper("experts").asInt();
    int batch = golden.size("x", 0);
    int length = golden.size("x", 1);
    int hidden = golden.size("x", 2);
    int inner = golden.hyper("d_ff").asInt();
    Tensor router = replay.parameter("w.router.classifier.weight");
    Tensor up =
        replay.parameter(
            golden.stacked("w." + EXPERT + "wi.weight", experts), experts, inner, hidden);
    Tensor down =
        replay.parameter(
            golden.stacked("w." + EXPERT + "wo.weight", experts), experts, hidden, inner);
    GateSettings rules =
        Rules.withCapacity(
            Rules.dropless(1, Score.SOFTMAX, Normalization.RAW),
            QueueOrder.TOKEN_MAJOR,
            golden.hyper("expert_capacity").asLong());

    float[] x = golden.floats("x");
    float[] upstream = golden.floats("upstream");
    float[] out = new float[x.length];
    float[] gradient = new float[x.length];
    float[] recordedLogits = golden.floats("router_logits");
    List<float[]> logitParts = new ArrayList<>();
    List<float[]> probabilityParts = new ArrayList<>();
    long[] mask = new long[recordedLogits.length];
    int size = length * hidden;
    for (int b = 0; b < batch; b++) {
      replay.freshPass();
      Tensor sequence =
          replay.tensor(Arrays.copyOfRange(x, b * size, (b + 1) * size), length, hidden);
      Tensor logits = LinearOp.forward(replay.pass(), sequence, router, null, Activation.IDENTITY);
      logitParts.add(logits.toFloats());
      Routes routes = GateOp.forward(replay.pass(), rules, logits, GateOp.Inputs.NONE, 0, 0);
      RouteTable table = RouteTable.of(routes);
      for (int s = 0; s < length; s++) {
        if (table.expert()[s] >= 0) {
          mask[(b * length + s) * experts + (int) table.expert()[s]] = 1;
        }
      }
      probabilityParts.add(bestScores(table));
      Tensor rows = DispatchOp.forward(replay.pass(), sequence, routes);
      Tensor activated =
          ExpertOp.forward(replay.pass(), rows, routes.offsets(), up, null, Activation.RELU);
      Tensor outputs =
          ExpertOp.forward(
              replay.pass(), activated, routes.offsets(), down, null, Activation.IDENTITY);
      Tensor combined = CombineOp.forward(replay.pass(), outputs, routes, null, null, null);
      System.arraycopy(combined.toFloats(), 0, out, b * size, size);
      replay.backward(combined, Arrays.copyOfRange(upstream, b * size, (b + 1) * size));
      System.arraycopy(replay.gradientOfInput(sequence), 0, gradient, b * size, size);
    }
    replay.close("router_logits", Layouts.concatenated(logitParts.toArray(float[][]::new)));
    replay.close("router_prob", Layouts.concatenated(probabilityParts.toArray(float[][]::new)));
    replay.exact("router_mask", mask);
    replay.close("out", out);
    replay.close("grad_x", gradient);
    replay.close("grad.router.classifier.weight", replay.gradientOf(router));
    replay
        .comparison()
        .close(
            "grad.experts.*.wi",
            golden.stacked("grad." + EXPERT + "wi.weight", experts),
            replay.gradientOf(up));
    replay
        .comparison()
        .close(
            "grad.experts.*.wo",
            golden.stacked("grad." + EXPERT + "wo.weight", experts),
            replay.gradientOf(down));
  }

  /** Each token's best score, whether its route was kept or not. */
  private static float[] bestScores(RouteTable table) {
    float[] best = new float[table.tokens()];
    for (int s = 0; s < best.length; s++) {
      best[s] = table.scores()[s * table.experts() + (int) table.choice()[s]];
    }
    return best;
  }

  /** Both losses are means over the groups of the batch. */
  public static void losses(Replay replay) {
    GoldenFile golden = replay.golden();
    int groups = golden.size("router_logits", 0);
    int tokens = golden.size("router_logits", 1);
    int experts = golden.size("router_logits", 2);
    float[] all = golden.floats("router_logits");
    GateSettings rules = Rules.dropless(1, Score.SOFTMAX, Normalization.RAW);
    List<float[]> balance = new ArrayList<>();
    List<float[]> z = new ArrayList<>();
    List<Long> chosen = new ArrayList<>();
    double auxiliarySum = 0;
    double zSum = 0;
    for (int group = 0; group < groups; group++) {
      int size = tokens * experts;
      float[] logits = Arrays.copyOfRange(all, group * size, (group + 1) * size);
      balance.add(gradient(replay, rules, logits, experts, 1f / groups, 0));
      z.add(gradient(replay, rules, logits, experts, 0, 1f / groups));
      replay.freshPass();
      RouteTable table =
          RouteTable.of(
              GateOp.forward(
                  replay.pass(),
                  rules,
                  replay.tensor(logits, tokens, experts),
                  GateOp.Inputs.NONE,
                  0,
                  0));
      for (long expert : table.choice()) {
        chosen.add(expert);
      }
      auxiliarySum += table.auxiliaryLoss();
      zSum += table.zLoss();
    }
    replay.exact("expert_index", chosen.stream().mapToLong(Long::longValue).toArray());
    replay.close("load_balancing_loss", auxiliarySum / groups);
    replay.close("z_loss", zSum / groups);
    replay.close("grad_load_balancing", Layouts.concatenated(balance.toArray(float[][]::new)));
    replay.close("grad_z", Layouts.concatenated(z.toArray(float[][]::new)));
  }

  private static float[] gradient(
      Replay replay, GateSettings rules, float[] values, int experts, float auxiliary, float z) {
    replay.freshPass();
    Tensor logits = replay.tensor(values, values.length / experts, experts);
    GateOp.forward(replay.pass(), rules, logits, GateOp.Inputs.NONE, auxiliary, z);
    replay.backward();
    return replay.gradientOfInput(logits);
  }
}
