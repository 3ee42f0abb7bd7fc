package panamoe.lab.conformance.deepspeed;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.tensor.Tensor;

/**
 * DeepSpeed's {@code sharded_moe.py}: top-1, top-2 and top-k gating of given logits, and its table
 * of capacities.
 */
public final class GatingCases {
  private final Replay replay;
  private final GoldenFile golden;
  private final GateReplay gate;
  private final boolean[] used;

  /**
   * @param policy which routes are dropped beyond the capacity
   */
  private GatingCases(Replay replay, int function, int topK, DropPolicy policy) {
    this.replay = replay;
    this.golden = replay.golden();
    this.used = GateReplay.used(golden);
    this.gate =
        new GateReplay(
            replay,
            GateReplay.config(
                function,
                topK,
                golden.setting("drop_tokens").asBoolean() ? policy : DropPolicy.DROPLESS,
                golden.setting("capacity_factor").asDouble(),
                golden.setting("min_capacity").asInt(),
                0));
  }

  /** One row of the table: S, E and the least capacity, with a capacity factor. */
  public static void capacityTable(Replay replay) {
    long[] rows = replay.golden().longs("T_E_mincap");
    double[] factors = replay.golden().doubles("capacity_factor");
    long[] capacities = new long[factors.length];
    for (int i = 0; i < capacities.length; i++) {
      GateConfig config = GateConfig.deepSpeed(1, factors[i], (int) rows[3 * i + 2]);
      capacities[i] = config.capacity(rows[3 * i], (int) rows[3 * i + 1], true);
    }
    replay.exact("capacity", capacities);
  }

  public static void top1(Replay replay) {
    boolean random = replay.golden().setting("use_rts").asBoolean();
    GatingCases cases =
        new GatingCases(replay, 1, 1, random ? DropPolicy.PRIORITY : DropPolicy.POSITION);
    if (replay.golden().optionalSetting("expected_error").isString()) {
      cases.refusedByPeer();
    } else {
      cases.compare(false);
    }
  }

  public static void top2(Replay replay) {
    new GatingCases(replay, 2, 2, DropPolicy.POSITION).compare(false);
  }

  public static void topK(Replay replay) {
    GoldenFile golden = replay.golden();
    DropPolicy policy =
        switch (golden.setting("drop_policy").asString()) {
          case "probs" -> DropPolicy.PROBABILITY;
          case "position" -> DropPolicy.POSITION;
          case String other ->
              throw new IllegalArgumentException("unknown drop_policy '" + other + "'");
        };
    new GatingCases(replay, GateReplay.ANY_K, golden.setting("k").asInt(), policy).compare(true);
  }

  /**
   * The peer requires at least min_capacity tokens. Ours accepts fewer; then all fit and none is
   * dropped.
   */
  private void refusedByPeer() {
    RouteTable ours = gate.decide(used);
    replay.require(
        ours.tokens() < golden.setting("min_capacity").asInt(),
        "the peer refused the input for another reason than too few tokens");
    for (int s = 0; s < ours.tokens(); s++) {
      boolean routed = used == null || used[s];
      int best = routed ? (int) ours.routes().choice()[s] : -1;
      replay.exact("expert of token " + s, best, ours.routes().expert()[s]);
      replay.close(
          "weight of token " + s,
          routed ? ours.scores()[s * ours.experts() + best] : 0,
          ours.routes().weight()[s]);
    }
    replay.note(
        "the peer refuses fewer tokens than min_capacity, we route them: nothing is dropped");
  }

  /**
   * @param topK true if the peer used torch.topk, which may take any of equal scores; torch.argmax
   *     takes the lowest index, like ours
   */
  private void compare(boolean topK) {
    boolean openChoice = topK && golden.setting("argmax_ties").asBoolean();
    boolean openOrder = topK && golden.optionalSetting("order_ties").asBoolean();
    boolean openSurvivors = golden.setting("survivors_undetermined").asBoolean();
    RouteTable ours = gate.decide(used);
    if (gate.drops() || !openChoice) {
      gate.compareCapacity(ours.largestCount());
    }
    float[] gradient = golden.has("grad_logits_combine") ? combineGradient(ours) : null;
    if (openChoice || openSurvivors) {
      TiedRoutes routes = new TiedRoutes(replay, ours, used, openChoice);
      routes.compare(gate.drops() ? gate.settings().queues().capacity() : ours.largestCount());
      compareSettled(routes.settled(), gradient);
      replay.note("the peer chose among equals: only what does not depend on it");
    } else {
      DeepSpeedRoutes.compare(replay, ours, !openOrder);
      DeepSpeedRoutes.compareDense(replay, ours);
      if (gradient != null) {
        replay.close("grad_logits_combine", gradient);
      }
    }
    if (openChoice) {
      float loss = gate.auxiliaryLoss(golden.longs("exp_counts"));
      replay.close("l_aux", loss / gate.settings().auxiliaryChoices());
      replay.closeIfRecorded("grad_logits_l_aux", auxiliaryGradient(true));
    } else {
      replay.exact("exp_counts", ours.counts());
      compareAuxiliary(ours);
    }
  }

  private void compareSettled(boolean[] settled, float[] gradient) {
    if (gradient != null) {
      replay.close(
          "grad_logits_combine of tokens without ties",
          Layouts.cleared(golden.floats("grad_logits_combine"), settled),
          Layouts.cleared(gradient, settled));
    }
  }

  /**
   * The peer's mean of the scores is over all S tokens, ours over the U used ones. So its loss is
   * computed from our counts of used tokens and our scores of all, and its gradient at the used
   * tokens is (U/S)^2 times ours.
   */
  private void compareAuxiliary(RouteTable ours) {
    if (used == null) {
      replay.close("l_aux", ours.losses().auxiliary());
      replay.closeIfRecorded("grad_logits_l_aux", auxiliaryGradient(false));
      return;
    }
    replay.close("l_aux", gate.auxiliaryLoss(ours.counts()));
    if (golden.has("grad_logits_l_aux")) {
      double part = GateReplay.usedPart(used);
      replay.close(
          "grad_logits_l_aux",
          Layouts.cleared(golden.floats("grad_logits_l_aux"), used),
          Layouts.scaled(auxiliaryGradient(false), part * part));
    }
    replay.note("l_aux: unused tokens enter the peer's mean of scores, not ours");
  }

  private float[] combineGradient(RouteTable ours) {
    replay.freshPass();
    Tensor logits = replay.input("logits");
    Routes routes = gate.route(logits, used, 0);
    replay.backward(routes.weight(), ours.atRoutes(golden.floats("upstream_combine")));
    return replay.gradientOf(logits);
  }

  private float[] auxiliaryGradient(boolean byRecordedCounts) {
    replay.freshPass();
    Tensor logits = replay.input("logits");
    Routes routes = gate.route(logits, used, 1);
    if (byRecordedCounts) {
      recount(routes);
    }
    replay.backward();
    return replay.gradientOf(logits);
  }

  /**
   * Replaces our counts by the recorded ones. The loss depends on the choice only through the
   * counts, so it does not matter which tokens chose or which routes were dropped.
   */
  private void recount(Routes routes) {
    long[] counts = golden.longs("exp_counts");
    int route = 0;
    for (int e = 0; e < counts.length; e++) {
      for (int i = 0; i < counts[e]; i++, route++) {
        routes.choice().setInt(route, e);
        routes.expert().setInt(route, -1);
        routes.position().setInt(route, -1);
      }
    }
  }
}
