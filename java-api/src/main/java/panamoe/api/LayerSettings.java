package panamoe.api;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/**
 * The settings of one MoE layer.
 *
 * @param hidden M, width of a token
 * @param expertHidden F, inner width of an expert
 * @param experts E, 1 to 1024
 * @param topK K, experts per token, 1 to 16
 * @param capacityFactor 0 keeps every route (dropless); otherwise an expert keeps at most this
 *     multiple of its even share, by DeepSpeed's rules for this K (at least 4 routes)
 * @param residual whether a fixed MLP runs in addition to the routed experts (Residual MoE)
 * @param activation of the experts
 * @param auxiliaryCoefficient factor of the load balancing loss in the gradients
 */
public record LayerSettings(
    int hidden,
    int expertHidden,
    int experts,
    int topK,
    double capacityFactor,
    boolean residual,
    Activation activation,
    double auxiliaryCoefficient) {
  static {
    RequiredJava.check();
  }

  /**
   * Checks the values.
   *
   * @throws PanamoeException.BadArgument if a value is null or out of range, or values contradict
   *     each other
   */
  public LayerSettings {
    Failures.run(
        () -> {
          ModelConfig.requireHidden(hidden);
          GateConfig gate = gate(topK, capacityFactor, auxiliaryCoefficient);
          config(experts, expertHidden, activation, gate, residual);
        });
  }

  /** A dropless layer with GELU experts and the paper's balancing coefficient of 0.01. */
  public static LayerSettings of(int hidden, int expertHidden, int experts, int topK) {
    return new LayerSettings(
        hidden, expertHidden, experts, topK, 0, false, Activation.GELU_TANH, 0.01);
  }

  /** These settings with or without the fixed MLP. */
  public LayerSettings withResidual(boolean value) {
    return new LayerSettings(
        hidden,
        expertHidden,
        experts,
        topK,
        capacityFactor,
        value,
        activation,
        auxiliaryCoefficient);
  }

  /** These settings with another activation. */
  public LayerSettings withActivation(Activation value) {
    return new LayerSettings(
        hidden, expertHidden, experts, topK, capacityFactor, residual, value, auxiliaryCoefficient);
  }

  /** These settings with another capacity factor; 0 is dropless. */
  public LayerSettings withCapacityFactor(double value) {
    return new LayerSettings(
        hidden, expertHidden, experts, topK, value, residual, activation, auxiliaryCoefficient);
  }

  MoeConfig toConfig() {
    GateConfig gate = gate(topK, capacityFactor, auxiliaryCoefficient);
    return config(experts, expertHidden, activation, gate, residual);
  }

  private static MoeConfig config(
      int experts, int inner, Activation activation, GateConfig gate, boolean residual) {
    MoeConfig moe =
        MoeConfig.of(
            experts, inner, Argument.notNull("activation", activation).ofKernels(), true, gate);
    return residual ? moe.withResidual() : moe;
  }

  /** The gate's configuration, for a layer and for every layer of a model. */
  static GateConfig gate(int topK, double capacityFactor, double auxiliaryCoefficient) {
    Argument.require(capacityFactor >= 0, "capacityFactor", capacityFactor, "0 or more");
    GateConfig rules =
        capacityFactor == 0
            ? GateConfig.dropless(topK)
            : GateConfig.deepSpeed(topK, capacityFactor, 4);
    return rules.withAuxiliaryCoefficient(auxiliaryCoefficient);
  }
}
