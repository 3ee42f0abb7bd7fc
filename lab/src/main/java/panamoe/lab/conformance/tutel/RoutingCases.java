package panamoe.lab.conformance.tutel;

import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.Gates;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.TokenOrder;
import panamoe.tensor.Tensor;

/** Tutel's {@code extract_critical}: choice, queues and loss for given logits. */
public final class RoutingCases {
  private final Replay replay;
  private final GoldenFile golden;
  private final int tokens;
  private final int experts;
  private final GateSettings limited;
  private final GateSettings dropless;
  private final TokenOrder order;

  private RoutingCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    this.tokens = golden.size("logits", 0);
    this.experts = golden.size("logits", 1);
    GateConfig gate = gate(golden, 1);
    long capacity = golden.longs("capacity")[0];
    this.dropless = gate.settings(tokens, experts, true);
    this.limited = gate.withCapacity(capacity(capacity)).settings(tokens, experts, true);
    this.order =
        golden.hyper("bpr").asBoolean()
            ? TokenOrder.byBest(RouteTable.of(replay.route(dropless, replay.input("logits"))))
            : TokenOrder.given(tokens);
  }

  /**
   * Tutel's gate without a capacity: weights are normalised before drops, and the loss counts only
   * first choices.
   */
  static GateConfig gate(GoldenFile golden, double auxiliary) {
    int topK = golden.hyper("k").asInt();
    boolean normalized = golden.hyper("norm").asBoolean() && topK > 1;
    return Gates.softmax(topK, normalized ? Normalization.CHOSEN : Normalization.RAW)
        .withLoss(new GateConfig.Loss(false, auxiliary, 0));
  }

  /** Second choices queue behind all first ones. */
  static GateConfig.Capacity capacity(long routes) {
    return Gates.first(routes, QueueOrder.CHOICE_MAJOR);
  }

  public static void extractCritical(Replay replay) {
    new RoutingCases(replay).compare();
  }

  private void compare() {
    replay.freshPass();
    Tensor logits = ordered();
    RouteTable kept = RouteTable.of(replay.route(limited, GateKernels.Inputs.of(logits), 1));
    replay.backward();
    replay.close("grad_logits_l_aux", order.restored(replay.gradientOf(logits)));
    replay.close("l_aux", kept.losses().auxiliary());
    replay.close("scores", order.restored(kept.scores()));
    if (golden.has("dispatch_count")) {
      replay.exact("dispatch_count", kept.counts());
    }
    compareRoutes(kept);
    compareGates();
  }

  /** The recorded slot of a dropped route is its position in the whole queue; ours is -1. */
  private void compareRoutes(RouteTable kept) {
    int topK = kept.topK();
    long[] recordedKept = byToken("route_kept", topK);
    long[] slots = byToken("route_slot", topK);
    long[] actualKept = new long[slots.length];
    for (int route = 0; route < slots.length; route++) {
      actualKept[route] = kept.routes().expert()[route] >= 0 ? 1 : 0;
      slots[route] = recordedKept[route] == 1 ? slots[route] : -1;
    }
    replay.exact(
        "route_expert", byToken("route_expert", topK), order.restored(kept.routes().choice()));
    replay.exact("route_kept", recordedKept, order.restored(actualKept));
    replay.exact("route_slot", slots, order.restored(kept.routes().position()));
  }

  /** The peer's weights are those before drops, so they are compared with a dropless gate. */
  private void compareGates() {
    replay.freshPass();
    Tensor logits = ordered();
    Routes routes = replay.route(dropless, logits);
    Axes byToken = Axes.of(dropless.topK(), tokens).as(1, 0);
    replay.close(
        "route_gate",
        byToken.ordered(golden.floats("route_gate")),
        order.restored(routes.weight().toFloats()));
    replay.backward(
        routes.weight(), order.permuted(byToken.ordered(golden.floats("upstream_gate"))));
    replay.close("grad_logits_gate", order.restored(replay.gradientOf(logits)));
  }

  private Tensor ordered() {
    return replay.tensor(order.permuted(golden.floats("logits")), tokens, experts);
  }

  /** A recorded table [K, S] as [S, K]. */
  private long[] byToken(String name, int topK) {
    return Layouts.transposed(golden.longs(name), topK, tokens);
  }
}
