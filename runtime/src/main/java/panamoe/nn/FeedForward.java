package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.op.Pass;
import panamoe.tensor.Tensor;

/** The dense MLP of a transformer block: M to F, activation, F to M. */
public final class FeedForward {
  private final Linear up;
  private final Linear down;

  /** @param downDeviation initial deviation of the second matrix, smaller in deep models */
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
    this.up =
        new Linear(
            store, name + ".up", part, hidden, inner * activation.inputsPerOutput(), withBias, activation, deviation);
    this.down =
        new Linear(store, name + ".down", part, inner, hidden, withBias, Activation.IDENTITY, downDeviation);
  }

  /** x [S, M] to [S, M]. */
  public Tensor forward(Pass pass, Tensor x) {
    return down.forward(pass, up.forward(pass, x));
  }
}
