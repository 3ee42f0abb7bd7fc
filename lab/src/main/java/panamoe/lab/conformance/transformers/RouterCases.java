package panamoe.lab.conformance.transformers;

import java.util.Arrays;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Choice;
import panamoe.config.GateConfig.Noise;
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.TokenOrder;
import panamoe.tensor.Tensor;

/**
 * Routers of transformers without a layer: NLLB's top-2, and the load-balancing loss that many
 * models share.
 */
public final class RouterCases {
  private RouterCases() {}

  /**
   * Batch-prioritised routing takes the tokens with the highest probability first. Our gate gets
   * the tokens in that order, and its results are restored.
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

    boolean before = golden.hyper("before").asBoolean();
    GateConfig gate =
        Gates.softmax(2, before ? Normalization.CHOSEN : Normalization.SURVIVORS)
            .withChoice(Choice.with(Noise.GUMBEL_FROM_SECOND))
            .withCapacity(Gates.first(capacity, QueueOrder.CHOICE_MAJOR));
    TokenOrder order =
        golden.hyper("bpr").asBoolean()
            ? TokenOrder.byBest(scores(replay, logits, tokens, experts))
            : TokenOrder.given(tokens);
    replay.freshPass();
    Tensor ordered = replay.tensor(order.permuted(logits), tokens, experts);
    // Zero noise makes our gate take the second choice by logits, like the peer.
    GateKernels.Inputs inputs =
        new GateKernels.Inputs(
            ordered, used(replay, order), null, replay.constant(0, tokens, experts), null);
    GateSettings settings = gate.settings(tokens, experts, true);
    Routes routes = replay.route(settings, inputs, 0);
    RouteTable table = RouteTable.of(routes);
    replay.close("combine_per_expert", order.restored(table.weightByExpert()));
    replay.exact("top1_mask", order.restored(table.firstKept()));
    float[] upstream = order.permuted(golden.floats("upstream"));
    replay.backward(routes.weight(), table.atRoutes(upstream));
    replay.close("grad_logits", order.restored(replay.gradientOf(ordered)));
  }

  private static RouteTable scores(Replay replay, float[] logits, int tokens, int experts) {
    Tensor given = replay.tensor(logits, tokens, experts);
    return RouteTable.of(replay.route(GateSettings.dropless(1), given));
  }

  private static Tensor used(Replay replay, TokenOrder order) {
    boolean[] padding = replay.golden().flags("padding_mask");
    if (padding == null) {
      return null;
    }
    boolean[] used = new boolean[padding.length];
    for (int i = 0; i < used.length; i++) {
      used[i] = !padding[order.order()[i]];
    }
    return replay.mask(used);
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
    boolean[] mask = golden.flags("attention_mask");
    boolean[] used = mask == null ? null : new boolean[tokens];
    for (int s = 0; mask != null && s < tokens; s++) {
      used[s] = mask[s % mask.length];
    }
    Tensor logits = replay.tensor(all, tokens, experts);
    GateKernels.Inputs inputs = new GateKernels.Inputs(logits, replay.mask(used), null, null, null);
    GateSettings settings = Gates.softmax(topK, Normalization.RAW).settings(tokens, experts, true);
    Routes routes = replay.route(settings, inputs, topK);
    replay.close("loss", topK * routes.losses().getFloat(0));
    replay.backward();
    float[] gradient = replay.gradientOf(logits);
    int size = parts[0].length;
    for (int layer = 0; layer < layers; layer++) {
      replay.close("grad." + layer, Arrays.copyOfRange(gradient, layer * size, (layer + 1) * size));
    }
  }
}
