package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.comm.Communicator;
import panamoe.config.DenseConfig;
import panamoe.op.Pass;
import panamoe.op.SliceOp;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;

/** The dense MLP of a transformer block: M to F, activation, F to M. Tensor ranks split F. */
public final class Mlp {
  private final Communicator tensor;
  private final Linear up;
  private final Linear down;

  /** Declares {@code up} [F, M] (SwiGLU: [2F, M]) and {@code down} [M, F]. */
  public Mlp(Declarations at, long hidden, DenseConfig config) {
    Parameter.Part part = Parameter.Part.MLP;
    Activation activation = config.activation();
    long outputs = (long) config.inner() * activation.inputsPerOutput();
    this.tensor = at.ranks().tensor();
    this.up = Linear.slicedByOutputs(at.in("up"), part, hidden, outputs, config.bias(), activation);
    this.down =
        Linear.slicedByInputs(at.writing("down"), part, config.inner(), hidden, config.bias());
  }

  /** x [S, M] to [S, M]. */
  public Tensor forward(Pass pass, Tensor x) {
    return down.forward(pass, up.forward(pass, SliceOp.enter(pass, x, tensor)));
  }

  /** The cost of {@link #forward}. */
  public Cost cost(Work work) {
    return up.cost(work).then(down.cost(work));
  }
}
