package panamoe.moe;

import panamoe.backend.Activation;

/**
 * One MoE layer.
 *
 * @param hidden M, the model's width
 * @param expertHidden F, an expert's inner width
 * @param experts E
 * @param residual whether a fixed MLP runs beside the routed expert (Residual MoE, DeepSpeed-MoE
 *     §4.1.2)
 * @param activation of the experts and the fixed MLP
 * @param bias whether expert matrices have biases
 */
public record MoeConfig(
    int hidden,
    int expertHidden,
    int experts,
    boolean residual,
    Activation activation,
    boolean bias,
    GateConfig gate) {

  /** Most experts the kernels serve. */
  public static final int MAX_EXPERTS = 1024;

  public MoeConfig {
    if (hidden < 1) {
      throw new IllegalArgumentException("hidden is " + hidden + ", expected 1 or more");
    }
    if (expertHidden < 1) {
      throw new IllegalArgumentException(
          "expertHidden is " + expertHidden + ", expected 1 or more");
    }
    if (experts < 1 || experts > MAX_EXPERTS) {
      throw new IllegalArgumentException(
          "experts is " + experts + ", expected 1 to " + MAX_EXPERTS);
    }
    GateConfig.requirePresent("activation", activation);
    GateConfig.requirePresent("gate", gate);
    if (gate.topK() > experts) {
      throw new IllegalArgumentException(
          "topK is " + gate.topK() + " but there are only " + experts + " experts");
    }
  }
}
