package panamoe.harness.conformance.transformers;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
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
import panamoe.op.GateOp;
import panamoe.tensor.Tensor;

/**
 * Routers of transformers that stand alone: NLLB's top-2, and the load-balancing loss that many
 * models share.
 */
public final class RouterCases {
  private RouterCases() {}

  /**
   * Batch-prioritised routing serves the tokens with the highest probability first: our gate gets
   * the tokens in that order, and its answers are put back.
   */
  public static void nllbTop2(Replay replay) {
    GoldenFile golden = replay.golden();
    int tokens = golden.size("logits", 0);
    int experts = golden.size("logits", 1);
    float[] logits = golden.floats("logits");
    long capacity =
        golden.hyper("cap").isNull()
            ? 2L * Math.ceilDiv(tokens, experts)
            : golden.hyper("cap").asLong();
    replay.exact("capacity", new long[] {capacity});

    int[] order = IntStream.range(0, tokens).toArray();
    if (golden.hyper("bpr").asBoolean()) {
      float[] best = bestScores(replay, logits, tokens, experts);
      order =
          IntStream.range(0, tokens)
              .boxed()
              .sorted(Comparator.comparingDouble(s -> -best[s]))
              .mapToInt(Integer::intValue)
              .toArray();
    }
    boolean before = golden.hyper("before").asBoolean();
    GateSettings rules =
        Rules.withFirstChoiceLoss(
            Rules.withCapacity(
                Rules.dropless(
                    2, Score.SOFTMAX, before ? Normalization.CHOSEN : Normalization.SURVIVORS),
                QueueOrder.CHOICE_MAJOR,
                capacity),
            1);
    replay.freshPass();
    Tensor ordered = replay.tensor(permuted(logits, order, experts), tokens, experts);
    // The second choice is by logits; zeros as noise make ours so.
    GateOp.Inputs inputs =
        new GateOp.Inputs(used(replay, order), null, replay.constant(0, tokens, experts), null);
    Routes routes = GateOp.forward(replay.pass(), rules, ordered, inputs, 0, 0);
    RouteTable table = RouteTable.of(routes);
    replay.close("combine_per_expert", restored(table.weightByExpert(), order, experts));
    replay.exact("top1_mask", firstChoices(table, order));
    float[] upstream = permuted(golden.floats("upstream"), order, experts);
    replay.backward(routes.weight(), table.atRoutes(upstream));
    replay.close("grad_logits", restored(replay.gradientOfInput(ordered), order, experts));
  }

  private static float[] bestScores(Replay replay, float[] logits, int tokens, int experts) {
    Routes routes =
        GateOp.forward(
            replay.pass(),
            GateSettings.dropless(1),
            replay.tensor(logits, tokens, experts),
            GateOp.Inputs.NONE,
            0,
            0);
    return routes.weight().toFloats();
  }

  private static Tensor used(Replay replay, int[] order) {
    long[] padding =
        replay.golden().has("padding_mask") ? replay.golden().longs("padding_mask") : null;
    if (padding == null) {
      return null;
    }
    boolean[] used = new boolean[order.length];
    for (int i = 0; i < order.length; i++) {
      used[i] = padding[order[i]] == 0;
    }
    return replay.mask(used);
  }

  /** Kept first choices [S, E] in the recorded order. */
  private static long[] firstChoices(RouteTable table, int[] order) {
    long[] mask = new long[table.tokens() * table.experts()];
    for (int i = 0; i < table.tokens(); i++) {
      long expert = table.expert()[i * table.topK()];
      if (expert >= 0) {
        mask[order[i] * table.experts() + (int) expert] = 1;
      }
    }
    return mask;
  }

  private static float[] permuted(float[] table, int[] order, int width) {
    float[] result = new float[table.length];
    for (int i = 0; i < order.length; i++) {
      System.arraycopy(table, order[i] * width, result, i * width, width);
    }
    return result;
  }

  private static float[] restored(float[] table, int[] order, int width) {
    float[] result = new float[table.length];
    for (int i = 0; i < order.length; i++) {
      System.arraycopy(table, i * width, result, order[i] * width, width);
    }
    return result;
  }

  /** The peer takes all layers as one batch and does not divide by k: its loss is k times ours. */
  public static void loadBalancingLoss(Replay replay) {
    GoldenFile golden = replay.golden();
    int layers = golden.hyper("layers").asInt();
    int experts = golden.hyper("E").asInt();
    int topK = golden.hyper("top_k").asInt();
    float[][] parts = new float[layers][];
    for (int layer = 0; layer < layers; layer++) {
      parts[layer] = golden.floats("gate_logits." + layer);
    }
    float[] all = Layouts.concatenated(parts);
    int tokens = all.length / experts;
    Tensor used = null;
    if (golden.has("attention_mask")) {
      long[] mask = golden.longs("attention_mask");
      boolean[] repeated = new boolean[tokens];
      for (int s = 0; s < tokens; s++) {
        repeated[s] = mask[s % mask.length] != 0;
      }
      used = replay.mask(repeated);
    }
    Tensor logits = replay.tensor(all, tokens, experts);
    GateOp.Inputs inputs = new GateOp.Inputs(used, null, null, null);
    GateSettings rules = Rules.dropless(topK, Score.SOFTMAX, Normalization.RAW);
    Routes routes = GateOp.forward(replay.pass(), rules, logits, inputs, topK, 0);
    replay.close("loss", topK * routes.losses().getFloat(0));
    replay.backward();
    float[] gradient = replay.gradientOfInput(logits);
    int size = parts[0].length;
    for (int layer = 0; layer < layers; layer++) {
      replay.close("grad." + layer, Arrays.copyOfRange(gradient, layer * size, (layer + 1) * size));
    }
  }
}
