package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * The gradients of {@link AttentionInputs}, in their shapes and dtypes. dq, dk and dv are
 * overwritten; dsinks is added to, or null without sinks.
 */
public record AttentionGradients(Tensor dq, Tensor dk, Tensor dv, Tensor dsinks) {

  /** Without sinks. */
  public AttentionGradients(Tensor dq, Tensor dk, Tensor dv) {
    this(dq, dk, dv, null);
  }
}
