package panamoe.lab.conformance.deepspeed;

import java.util.stream.IntStream;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Noise;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.tensor.Tensor;

/**
 * A recorded call of a gate in DeepSpeed's {@code sharded_moe.py}, and our gate on the same logits,
 * used tokens and random numbers.
 */
final class GateReplay {
  /** The function that takes any k; that of top-1 and of top-2 have rules of their own. */
  static final int ANY_K = 3;

  private final Replay replay;
  private final GoldenFile golden;
  private final GateConfig config;
  private final int tokens;
  private final int experts;

  GateReplay(Replay replay, GateConfig config) {
    this.replay = replay;
    this.golden = replay.golden();
    this.config = config;
    this.tokens = golden.size("logits", 0);
    this.experts = golden.size("logits", 1);
  }

  /**
   * @param function 1, 2 or {@link #ANY_K}
   * @param policy which routes are dropped
   * @param factor capacity factor of the recorded call, training or not
   */
  static GateConfig config(
      int function, int topK, DropPolicy policy, double factor, int minimum, double coefficient) {
    GateConfig gate = GateConfig.deepSpeed(function, factor, minimum).withTopK(topK);
    return gate.withCapacity(gate.capacity().by(policy)).withAuxiliaryCoefficient(coefficient);
  }

  /** Flags of used tokens; null if not recorded. */
  static boolean[] used(GoldenFile golden) {
    return golden.flags("used_token");
  }

  GateSettings settings() {
    return config.settings(tokens, experts, true);
  }

  boolean drops() {
    return config.capacity().policy() != DropPolicy.DROPLESS;
  }

  /**
   * Without drops, the peer's capacity is the largest queue of any expert.
   *
   * @param largest that queue
   */
  void compareCapacity(long largest) {
    replay.exact(
        "capacity", new long[] {drops() ? config.capacity(tokens, experts, true) : largest});
  }

  /** Zeros: without noise our second choice is by scores, with it by logits like the peer's. */
  Tensor noise() {
    boolean gumbel = config.choice().noise() == Noise.GUMBEL_FROM_SECOND;
    return golden.has("gumbel")
        ? replay.input("gumbel")
        : gumbel ? replay.constant(0, tokens, experts) : null;
  }

  Tensor priority() {
    if (config.capacity().policy() != DropPolicy.PRIORITY) {
      return null;
    }
    return golden.has("rts_uniform")
        ? replay.input("rts_uniform")
        : replay.constant(0, tokens, experts);
  }

  /** Our gate's routes in this pass. */
  Routes route(Tensor logits, boolean[] used, double auxiliary) {
    GateKernels.Inputs inputs =
        new GateKernels.Inputs(logits, replay.mask(used), null, noise(), priority());
    return replay.route(settings(), inputs, auxiliary);
  }

  /** Our gate's routes in a separate pass. */
  RouteTable decide(boolean[] used) {
    replay.freshPass();
    return RouteTable.of(route(replay.input("logits"), used, 0));
  }

  /**
   * The peer's auxiliary loss {@code E * sum_e mean_s(score) * mean_s(chosen)}. Both means are over
   * all S tokens: unused ones have scores but no choice. Ours takes both over the U used ones.
   *
   * @param counts routes that ask for each expert [E]
   */
  float auxiliaryLoss(long[] counts) {
    float[] scores = decide(null).scores();
    double sum = 0;
    for (int i = 0; i < scores.length; i++) {
      sum += (double) scores[i] * counts[i % experts];
    }
    return (float) (experts * sum / ((double) tokens * tokens));
  }

  /** U / S; 1 if not recorded. */
  static double usedPart(boolean[] used) {
    return used == null
        ? 1
        : (double) IntStream.range(0, used.length).filter(s -> used[s]).count() / used.length;
  }
}
