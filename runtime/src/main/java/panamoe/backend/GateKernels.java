package panamoe.backend;

import panamoe.tensor.Tensor;

/** The gate: logits to routes in one pass, and back. */
public interface GateKernels {
  /**
   * Inputs of the gate for S tokens and E experts.
   *
   * @param logits FLOAT32 [S, E]
   * @param used UINT8 [S] or null: 0 marks padding, which is not routed and enters no count or loss
   * @param bias FLOAT32 [E] or null: added to scores for the choice only
   * @param noise FLOAT32 [S, E] or null: added to logits for the choice only
   * @param priority FLOAT32 [S, E] or null: needed by {@link GateSettings.DropPolicy#PRIORITY}
   */
  record Inputs(Tensor logits, Tensor used, Tensor bias, Tensor noise, Tensor priority) {
    public static Inputs of(Tensor logits) {
      return new Inputs(logits, null, null, null, null);
    }
  }

  /** Routes S tokens into {@code routes}. */
  void gateForward(GateSettings settings, Inputs inputs, Routes routes);

  /**
   * Derivatives of the objective by the gate's losses.
   *
   * @param batch null, or used tokens and counted choices of the batch, of which the gate's tokens
   *     are a part: both losses are means over it
   */
  record LossGradients(float dauxiliary, float dz, BalanceKernels.Sums batch) {}

  /**
   * dlogits FLOAT32 [S, E] from the gradients of the weights FLOAT32 [S, K] and of the losses. Of
   * the inputs it reads logits and used.
   */
  void gateBackward(
      GateSettings settings,
      Inputs inputs,
      Routes routes,
      Tensor dweight,
      LossGradients losses,
      Tensor dlogits);
}
