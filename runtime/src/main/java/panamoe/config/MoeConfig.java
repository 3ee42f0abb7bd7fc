package panamoe.config;

import panamoe.backend.Activation;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * A Mixture-of-Experts layer of E two-layer MLPs.
 *
 * @param experts E
 * @param inner F, an expert's inner width
 * @param activation of the experts, shared and fixed MLPs
 * @param bias whether the matrices of all of these have biases
 * @param gate how a token chooses its experts
 * @param shared an MLP for every token; null: none
 * @param residual a fixed MLP that is mixed with the routed expert; null: none
 */
public record MoeConfig(
    int experts,
    int inner,
    Activation activation,
    boolean bias,
    GateConfig gate,
    @Omittable SharedExpert shared,
    @Omittable Residual residual)
    implements FeedForwardConfig {

  /** Most experts of the kernels. */
  public static final int MAX_EXPERTS = 1024;

  /**
   * An MLP whose output is added to the routed experts' output (DeepSeek-MoE, Qwen2-MoE).
   *
   * @param inner its inner width; several shared experts are one with the sum of their widths
   * @param gated whether the sigmoid of a learned logit scales it (Qwen2-MoE)
   * @param branchNorm it, the experts and the router each normalise the block's state with weights
   *     of their own, the router's times 1 / sqrt(M), and the outputs of it and of the experts are
   *     normalised before their sum (Gemma 4); null: all read the block's one norm
   */
  public record SharedExpert(int inner, boolean gated, @Omittable NormConfig branchNorm) {
    public SharedExpert {
      Require.size("inner", inner, Require.MAX_WIDTH);
      Require.that(
          branchNorm == null || !gated,
          "gated is true, but with a branchNorm a logit scales nothing");
    }

    /** Without a norm of its own. */
    public SharedExpert(int inner, boolean gated) {
      this(inner, gated, null);
    }
  }

  /**
   * The fixed MLP of a Residual MoE: a learned softmax of two coefficients mixes it with the routed
   * expert (DeepSpeed-MoE §4.1.2).
   *
   * @param inner its inner width
   */
  public record Residual(int inner) {
    public Residual {
      Require.size("inner", inner, Require.MAX_WIDTH);
    }
  }

  public MoeConfig {
    Require.size("experts", experts, MAX_EXPERTS);
    Require.size("inner", inner, Require.MAX_WIDTH);
    Require.present("activation", activation);
    Require.present("gate", gate);
    gate.requireFits(experts);
    Require.that(
        shared == null || residual == null, "a layer has a shared expert or a residual, not both");
  }

  /** The kind of norms that each branch has; null: all read the block's one norm. */
  public NormConfig branchNorm() {
    return shared == null ? null : shared.branchNorm;
  }

  /** A layer without shared expert and fixed MLP. */
  public static MoeConfig of(
      int experts, int inner, Activation activation, boolean bias, GateConfig gate) {
    return new MoeConfig(experts, inner, activation, bias, gate, null, null);
  }

  /** This layer with a shared expert; null: none. */
  public MoeConfig withShared(SharedExpert other) {
    return new MoeConfig(experts, inner, activation, bias, gate, other, residual);
  }

  /** This layer with a fixed MLP as wide as an expert. */
  public MoeConfig withResidual() {
    return new MoeConfig(experts, inner, activation, bias, gate, shared, new Residual(inner));
  }

  /** This layer with another number of experts. */
  public MoeConfig withExperts(int other) {
    return new MoeConfig(other, inner, activation, bias, gate, shared, residual);
  }

  /** This layer with another gate. */
  public MoeConfig withGate(GateConfig other) {
    return new MoeConfig(experts, inner, activation, bias, other, shared, residual);
  }
}
