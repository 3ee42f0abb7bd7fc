package panamoe.backend;

import panamoe.tensor.Tensor;

/** The gate: logits to routes in one pass, and back. */
public interface GateKernels {
  /**
   * Routes S tokens by logits FLOAT32 [S, E] into {@code routes}.
   *
   * @param used UINT8 [S] or null: 0 marks padding, which takes no slot and enters no count and no
   *     loss
   * @param bias FLOAT32 [E] or null: added to scores for the choice only
   * @param noise FLOAT32 [S, E] or null: added to logits for the choice only
   * @param priority FLOAT32 [S, E] or null: needed by {@link GateSettings.DropPolicy#PRIORITY}
   */
  void gateForward(
      GateSettings settings,
      Tensor logits,
      Tensor used,
      Tensor bias,
      Tensor noise,
      Tensor priority,
      Routes routes);

  /**
   * dlogits FLOAT32 [S, E] from the gradient of the weights FLOAT32 [S, K], and from the
   * derivatives of the objective by the auxiliary and the z loss.
   */
  void gateBackward(
      GateSettings settings,
      Tensor logits,
      Tensor used,
      Routes routes,
      Tensor dweight,
      float dauxiliary,
      float dz,
      Tensor dlogits);
}
