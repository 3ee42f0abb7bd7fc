package panamoe.nn;

import panamoe.op.NormOp;
import panamoe.op.Pass;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;

/** LayerNorm or RMSNorm. */
public final class Norm {
  /** Which of the two. */
  public enum Kind {
    LAYER,
    RMS
  }

  private static final float EPSILON = 1e-5f;

  private final Parameter gamma;
  private final Parameter beta;

  public Norm(ParameterStore store, String name, Kind kind, long hidden) {
    this.gamma =
        store.declare(name + ".weight", Parameter.Part.NORM, false, Initialization.ONE, hidden);
    this.beta =
        kind == Kind.LAYER
            ? store.declare(name + ".bias", Parameter.Part.NORM, false, Initialization.ZERO, hidden)
            : null;
  }

  public Tensor forward(Pass pass, Tensor x) {
    return NormOp.forward(pass, x, gamma.value(), beta == null ? null : beta.value(), EPSILON);
  }
}
