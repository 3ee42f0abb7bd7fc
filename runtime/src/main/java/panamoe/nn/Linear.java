package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** A linear layer with an optional activation: {@code activation(x W^T + b)}, W [N, K]. */
public final class Linear {
  private final Parameter weight;
  private final Parameter bias;
  private final Activation activation;

  /**
   * Declares {@code name.weight} and, if wanted, {@code name.bias}.
   *
   * @param outputs N; for SwiGLU the two halves together
   */
  public Linear(
      ParameterStore store,
      String name,
      Parameter.Part part,
      long inputs,
      long outputs,
      boolean withBias,
      Activation activation,
      float deviation) {
    this.weight =
        store.declare(name + ".weight", part, true, new Initialization.Normal(deviation), outputs, inputs);
    this.bias = withBias ? store.declare(name + ".bias", part, false, Initialization.ZERO, outputs) : null;
    this.activation = activation;
  }

  /** x [..., K] to [S, N]. */
  public Tensor forward(Pass pass, Tensor x) {
    return LinearOp.forward(pass, x, weight.value(), bias == null ? null : bias.value(), activation);
  }

  /** As {@link #forward}, with the output in FLOAT32 whatever the input: for logits that decide something. */
  public Tensor forwardFloat32(Pass pass, Tensor x) {
    return LinearOp.forward(
        pass,
        x,
        weight.value(),
        bias == null ? null : bias.value(),
        activation,
        DType.FLOAT32);
  }
}
