package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.op.SliceOp;
import panamoe.param.Adapter;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A linear layer with an optional activation: {@code activation(x W^T + b)}, W [N, K]. Two
 * consecutive ones are sliced over tensor ranks, the first by outputs, the second by inputs, so
 * that only the result needs a sum (Megatron-LM, arXiv 1909.08053 §3).
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

  /** Declares {@code weight} [N, K] and, if wanted, {@code bias} [N], replicated on every rank. */
  public static Linear whole(
      Declarations at, Parameter.Part part, long inputs, long outputs, boolean withBias) {
    return new Linear(
        at.matrix(part, Slice.WHOLE, outputs, inputs),
        withBias ? at.vector("bias", part, Initialization.ZERO, Slice.WHOLE, outputs) : null,
        Activation.IDENTITY,
        SelfCommunicator.WORLD);
  }

  /**
   * Like {@link #whole}, but sliced by outputs over tensor ranks.
   *
   * @param outputs N; for SwiGLU both halves together
   */
  public static Linear slicedByOutputs(
      Declarations at,
      Parameter.Part part,
      long inputs,
      long outputs,
      boolean withBias,
      Activation activation) {
    Slice slice = new Slice(at.ranks().tensor(), 0, activation.inputsPerOutput());
    return new Linear(
        at.matrix(part, slice, outputs, inputs),
        withBias ? at.vector("bias", part, Initialization.ZERO, slice, outputs) : null,
        activation,
        SelfCommunicator.WORLD);
  }

  /**
   * Like {@link #whole}, but sliced by inputs over tensor ranks, each of which gets its part of x;
   * the output is the sum over the ranks. The first rank holds the bias.
   */
  public static Linear slicedByInputs(
      Declarations at, Parameter.Part part, long inputs, long outputs, boolean withBias) {
    Communicator tensor = at.ranks().tensor();
    return new Linear(
        at.matrix(part, new Slice(tensor, 1, 1), outputs, inputs),
        withBias && tensor.rank() == 0
            ? at.vector("bias", part, Initialization.ZERO, Slice.WHOLE, outputs)
            : null,
        Activation.IDENTITY,
        tensor);
  }

  /** x [..., K] to [S, N]; K and N are sizes of this rank's slice. */
  public Tensor forward(Pass pass, Tensor x) {
    return SliceOp.leave(pass, forward(pass, x, x.dtype()), terms);
  }

  /** Like {@link #forward}, with FLOAT32 output for any input: for logits of a choice. */
  public Tensor forwardFloat32(Pass pass, Tensor x) {
    return forward(pass, x, DType.FLOAT32);
  }

  private Tensor forward(Pass pass, Tensor x, DType output) {
    return LinearOp.forward(
        pass,
        x,
        weight.value(),
        Parameter.valueOf(bias),
        Adapter.terms(pass, weight, x, output),
        activation,
        output);
  }

  /** The cost of {@link #forward}. */
  public Cost cost(Work work) {
    return cost(work, work.dtype());
  }

  /** The cost of {@link #forwardFloat32}. */
  public Cost costFloat32(Work work) {
    return cost(work, DType.FLOAT32);
  }

  private Cost cost(Work work, DType output) {
    long[] held = weight.matrixShape(work.topology());
    return Cost.linear(work, work.tokens(), held[1], held[0], activation, output)
        .then(Cost.adapter(work, work.tokens(), held[1], held[0], weight, output))
        .then(Cost.weights(work, weight))
        .then(Cost.weights(work, bias));
  }
}
