package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.comm.Communicator;
import panamoe.op.Pass;
import panamoe.op.SliceOp;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;

/** The dense MLP of a transformer block: M to F, activation, F to M. Tensor ranks share F. */
public final class FeedForward {
  private final Communicator tensor;
  private final Linear up;
  private final Linear down;

  /**
   * @param downDeviation initial deviation of the second matrix, smaller in deep models
   */
  public FeedForward(
      ParameterStore store,
      String name,
      long hidden,
      long inner,
      Activation activation,
      boolean withBias,
      float deviation,
      float downDeviation) {
    Parameter.Part part = Parameter.Part.MLP;
    this.tensor = store.ranks().tensor();
    this.up =
        Linear.slicedByOutputs(
            store,
            name + ".up",
            part,
            hidden,
            inner * activation.inputsPerOutput(),
            withBias,
            activation,
            deviation);
    this.down =
        Linear.slicedByInputs(store, name + ".down", part, inner, hidden, withBias, downDeviation);
  }

  /** x [S, M] to [S, M]. */
  public Tensor forward(Pass pass, Tensor x) {
    return down.forward(pass, up.forward(pass, SliceOp.enter(pass, x, tensor)));
  }
}
