package panamoe.config;

import panamoe.backend.Activation;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * A Mixture-of-Experts layer of E two-layer MLPs.
 *
 * @param experts E
 * @param inner F, an expert's inner width
 * @param activation of the experts, and of the MLPs beside them
 * @param bias whether the matrices of experts, and of the MLPs beside them, have biases
 * @param gate how a token chooses its experts
 * @param shared an MLP that every token visits as well; null: none
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

  /** Most experts the kernels serve. */
  public static final int MAX_EXPERTS = 1024;

  /**
   * An MLP whose output is added to the routed experts' output (DeepSeek-MoE, Qwen2-MoE).
   *
   * @param inner its inner width; several shared experts are one of their widths together
   * @param gated whether the sigmoid of a learned logit scales it (Qwen2-MoE)
   */
  public record SharedExpert(int inner, boolean gated) {
    public SharedExpert {
      Require.size("inner", inner, Require.MAX_WIDTH);
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

  /** Experts of one shape and nothing beside them. */
  public static MoeConfig of(
      int experts, int inner, Activation activation, boolean bias, GateConfig gate) {
    return new MoeConfig(experts, inner, activation, bias, gate, null, null);
  }

  /** The same layer with an MLP that every token visits; null: none. */
  public MoeConfig withShared(SharedExpert other) {
    return new MoeConfig(experts, inner, activation, bias, gate, other, residual);
  }

  /** The same layer, mixed with a fixed MLP as wide as an expert. */
  public MoeConfig withResidual() {
    return new MoeConfig(experts, inner, activation, bias, gate, shared, new Residual(inner));
  }

  /** The same layer with another number of experts. */
  public MoeConfig withExperts(int other) {
    return new MoeConfig(other, inner, activation, bias, gate, shared, residual);
  }

  /** The same layer with another gate. */
  public MoeConfig withGate(GateConfig other) {
    return new MoeConfig(experts, inner, activation, bias, other, shared, residual);
  }
}
