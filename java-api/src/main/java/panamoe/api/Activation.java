package panamoe.api;

/** The function between the two matrices of an expert or an MLP. */
public enum Activation {
  /** max(x, 0). */
  RELU(panamoe.backend.Activation.RELU),
  /** x Φ(x). */
  GELU(panamoe.backend.Activation.GELU),
  /** GELU by its approximation with tanh. */
  GELU_TANH(panamoe.backend.Activation.GELU_TANH),
  /** x / (1 + exp(-x)). */
  SILU(panamoe.backend.Activation.SILU),
  /** SiLU of a gate times a second projection. */
  SWIGLU(panamoe.backend.Activation.SWIGLU),
  /** GELU_TANH of a gate times a second projection. */
  GEGLU_TANH(panamoe.backend.Activation.GEGLU_TANH);

  private final panamoe.backend.Activation ofKernels;

  Activation(panamoe.backend.Activation ofKernels) {
    this.ofKernels = ofKernels;
  }

  panamoe.backend.Activation ofKernels() {
    return ofKernels;
  }
}
