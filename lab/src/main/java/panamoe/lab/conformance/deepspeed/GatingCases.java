package panamoe.lab.conformance.deepspeed;

import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Noise;
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
  private GatingCases() {}

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
    GoldenFile golden = replay.golden();
    DropPolicy policy =
        golden.setting("use_rts").asBoolean() ? DropPolicy.PRIORITY : DropPolicy.POSITION;
    GateConfig config = config(golden, DeepSpeedGate.TOP1, 1, policy);
    if (golden.optionalSetting("expected_error").isTextual()) {
      refusedByPeer(replay, config);
    } else {
      new Recorded(replay, config).compare();
    }
  }

  public static void top2(Replay replay) {
    GateConfig config = config(replay.golden(), DeepSpeedGate.TOP2, 2, DropPolicy.POSITION);
    new Recorded(replay, config).compare();
  }

  public static void topK(Replay replay) {
    GoldenFile golden = replay.golden();
    DropPolicy policy =
        switch (golden.setting("drop_policy").asText()) {
          case "probs" -> DropPolicy.PROBABILITY;
          case "position" -> DropPolicy.POSITION;
          case String other ->
              throw new IllegalArgumentException("unknown drop_policy '" + other + "'");
        };
    int topK = golden.setting("k").asInt();
    new Recorded(replay, config(golden, DeepSpeedGate.TOP_K, topK, policy)).compare();
  }

  /**
   * @param policy who leaves, where anyone does
   */
  private static GateConfig config(
      GoldenFile golden, DeepSpeedGate gate, int topK, DropPolicy policy) {
    return gate.config(
        topK,
        golden.setting("drop_tokens").asBoolean() ? policy : DropPolicy.DROPLESS,
        golden.setting("capacity_factor").asDouble(),
        golden.setting("min_capacity").asInt(),
        0);
  }

  /**
   * The peer asserts at least min_capacity tokens; ours routes fewer: all fit then, so that none
   * may be dropped.
   */
  private static void refusedByPeer(Replay replay, GateConfig config) {
    Recorded recorded = new Recorded(replay, config);
    RouteTable routes = recorded.forward(recorded.used());
    replay.require(
        routes.tokens() < replay.golden().setting("min_capacity").asInt(),
        "the peer refused the input for another reason than too few tokens");
    for (int s = 0; s < routes.tokens(); s++) {
      boolean used = recorded.used() == null || recorded.used()[s];
      int best = used ? (int) routes.choice()[s] : -1;
      replay.exact("expert of token " + s, best, routes.expert()[s]);
      replay.close(
          "weight of token " + s,
          used ? routes.scores()[s * routes.experts() + best] : 0,
          routes.weight()[s]);
    }
    replay.note(
        "the peer refuses fewer tokens than min_capacity, we route them: nothing is dropped");
  }

  /** A recorded call of one of the three gates, and ours on the same numbers. */
  private static final class Recorded {
    private final Replay replay;
    private final GoldenFile golden;
    private final GateSettings settings;
    private final int tokens;
    private final int experts;
    private float[] noise;

    Recorded(Replay replay, GateConfig config) {
      this.replay = replay;
      this.golden = replay.golden();
      this.tokens = golden.size("logits", 0);
      this.experts = golden.size("logits", 1);
      this.settings = config.settings(tokens, experts, true);
      if (golden.has("gumbel")) {
        this.noise = golden.floats("gumbel");
      } else if (config.choice().noise() == Noise.GUMBEL_FROM_SECOND) {
        // The peer picks second choices by logits, ours by scores unless there is noise; zeros make
        // it logits.
        this.noise = new float[tokens * experts];
      }
    }

    /** Which tokens were used; null where the case says nothing of it. */
    boolean[] used() {
      return golden.flags("used_token");
    }

    void compare() {
      // torch.argmax takes the lowest of equals as ours does, torch.topk any of them.
      boolean topK = golden.kind().equals("deepspeed.topkgating");
      boolean openChoice = topK && golden.setting("argmax_ties").asBoolean();
      boolean openOrder = topK && golden.optionalSetting("order_ties").asBoolean();
      boolean openSurvivors = golden.setting("survivors_undetermined").asBoolean();
      RouteTable ours = forward(used());
      boolean drops = settings.queues().policy() != DropPolicy.DROPLESS;
      long capacity = drops ? settings.queues().capacity() : ours.largestCount();
      if (drops || !openChoice) {
        replay.exact("capacity", new long[] {capacity});
      }
      float[] gradient = golden.has("grad_logits_combine") ? combineGradient(ours) : null;
      if (openChoice || openSurvivors) {
        OpenRoutes routes = new OpenRoutes(replay, ours, used(), openChoice);
        routes.compare(capacity);
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
        float loss =
            DeepSpeedRoutes.auxiliaryLoss(golden.longs("exp_counts"), ours.scores(), tokens);
        replay.close("l_aux", loss / settings.auxiliaryChoices());
        if (golden.has("grad_logits_l_aux")) {
          replay.close("grad_logits_l_aux", auxiliaryGradient(true));
        }
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
     * The peer's mean of the scores runs over all tokens, ours over the used ones. Its loss is
     * therefore worked out from our counts of the used tokens and our scores of all, and its
     * gradient at the used tokens is (U/S)^2 times ours.
     */
    private void compareAuxiliary(RouteTable ours) {
      boolean[] used = used();
      float[] gradient = golden.has("grad_logits_l_aux") ? auxiliaryGradient(false) : null;
      if (used == null) {
        replay.close("l_aux", ours.auxiliaryLoss());
        if (gradient != null) {
          replay.close("grad_logits_l_aux", gradient);
        }
        return;
      }
      replay.close(
          "l_aux", DeepSpeedRoutes.auxiliaryLoss(ours.counts(), forward(null).scores(), tokens));
      if (gradient != null) {
        double part = DeepSpeedRoutes.usedPart(used);
        replay.close(
            "grad_logits_l_aux",
            Layouts.cleared(golden.floats("grad_logits_l_aux"), used),
            Layouts.scaled(gradient, part * part));
      }
      replay.note("l_aux: unused tokens enter the peer's mean of scores, not ours");
    }

    RouteTable forward(boolean[] used) {
      replay.freshPass();
      return RouteTable.of(routes(replay.input("logits"), used, 0));
    }

    private float[] combineGradient(RouteTable ours) {
      replay.freshPass();
      Tensor logits = replay.input("logits");
      Routes routes = routes(logits, used(), 0);
      replay.backward(routes.weight(), ours.atRoutes(golden.floats("upstream_combine")));
      return replay.gradientOfInput(logits);
    }

    private float[] auxiliaryGradient(boolean byRecordedCounts) {
      replay.freshPass();
      Tensor logits = replay.input("logits");
      Routes routes = routes(logits, used(), 1);
      if (byRecordedCounts) {
        recount(routes);
      }
      replay.backward();
      return replay.gradientOfInput(logits);
    }

    /**
     * Puts the recorded counts in the place of ours. The loss depends on the choice by them alone,
     * so any tokens may have chosen, and all routes may be dropped.
     */
    private void recount(Routes routes) {
      long[] counts = golden.longs("exp_counts");
      int route = 0;
      for (int e = 0; e < experts; e++) {
        for (int i = 0; i < counts[e]; i++, route++) {
          routes.choice().setInt(route, e);
          routes.expert().setInt(route, -1);
          routes.position().setInt(route, -1);
        }
      }
    }

    private Routes routes(Tensor logits, boolean[] used, float auxiliaryCoefficient) {
      Tensor priority =
          settings.queues().policy() == DropPolicy.PRIORITY
              ? golden.has("rts_uniform")
                  ? replay.input("rts_uniform")
                  : replay.constant(0, tokens, experts)
              : null;
      GateKernels.Inputs inputs =
          new GateKernels.Inputs(
              logits,
              replay.mask(used),
              null,
              noise == null ? null : replay.tensor(noise, tokens, experts),
              priority);
      return replay.route(settings, inputs, auxiliaryCoefficient);
    }
  }
}
