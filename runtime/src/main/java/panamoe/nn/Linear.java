package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.comm.Alone;
import panamoe.comm.Communicator;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.op.SliceOp;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A linear layer with an optional activation: {@code activation(x W^T + b)}, W [N, K]. Over tensor
 * ranks two of them in a row are sliced so that only the end needs a sum: the first by outputs, the
 * second by inputs (Megatron-LM, arXiv 1909.08053 §3).
 */
public final class Linear {
  private final Parameter weight;
  private final Parameter bias;
  private final Activation activation;
  private final Communicator terms;

  private Linear(Parameter weight, Parameter bias, Activation activation, Communicator terms) {
    this.weight = weight;
    this.bias = bias;
    this.activation = activation;
    this.terms = terms;
  }

  /**
   * Declares {@code name.weight} and, if wanted, {@code name.bias}; every rank holds them whole.
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
    this(
        store.declare(
            name + ".weight", part, true, new Initialization.Normal(deviation), outputs, inputs),
        withBias ? store.declare(name + ".bias", part, false, Initialization.ZERO, outputs) : null,
        activation,
        Alone.WORLD);
  }

  /** As the constructor, with each tensor rank holding, and computing, a part of the outputs. */
  public static Linear slicedByOutputs(
      ParameterStore store,
      String name,
      Parameter.Part part,
      long inputs,
      long outputs,
      boolean withBias,
      Activation activation,
      float deviation) {
    Slice slice = new Slice(store.ranks().tensor(), 0, activation.inputsPerOutput());
    return new Linear(
        store.declare(
            name + ".weight",
            part,
            true,
            new Initialization.Normal(deviation),
            slice,
            outputs,
            inputs),
        withBias
            ? store.declare(name + ".bias", part, false, Initialization.ZERO, slice, outputs)
            : null,
        activation,
        Alone.WORLD);
  }

  /**
   * As the constructor, with each tensor rank holding a part of the inputs, of which it gets that
   * part alone; the output is the sum over the ranks. The first of them holds the bias.
   */
  public static Linear slicedByInputs(
      ParameterStore store,
      String name,
      Parameter.Part part,
      long inputs,
      long outputs,
      boolean withBias,
      float deviation) {
    Communicator tensor = store.ranks().tensor();
    Slice slice = new Slice(tensor, 1, 1);
    return new Linear(
        store.declare(
            name + ".weight",
            part,
            true,
            new Initialization.Normal(deviation),
            slice,
            outputs,
            inputs),
        withBias && tensor.rank() == 0
            ? store.declare(name + ".bias", part, false, Initialization.ZERO, outputs)
            : null,
        Activation.IDENTITY,
        tensor);
  }

  /** x [..., K] to [S, N]; K and N are this rank's. */
  public Tensor forward(Pass pass, Tensor x) {
    Tensor y =
        LinearOp.forward(pass, x, weight.value(), bias == null ? null : bias.value(), activation);
    return SliceOp.leave(pass, y, terms);
  }

  /**
   * As {@link #forward}, with the output in FLOAT32 whatever the input: for logits that decide
   * something.
   */
  public Tensor forwardFloat32(Pass pass, Tensor x) {
    return LinearOp.forward(
        pass, x, weight.value(), bias == null ? null : bias.value(), activation, DType.FLOAT32);
  }
}
