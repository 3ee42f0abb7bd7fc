package panamoe.nn;

import panamoe.config.NormConfig;
import panamoe.op.NormOp;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.Tensor;

/** LayerNorm or RMSNorm over the last dimension. */
public final class Norm {
  private final float epsilon;
  private final Parameter gamma;
  private final Parameter beta;

  /** Declares {@code weight} [width] and, for LayerNorm, {@code bias} [width]. */
  public Norm(Declarations at, NormConfig config, long width) {
    Parameter.Part part = Parameter.Part.NORM;
    this.epsilon = (float) config.epsilon();
    this.gamma = at.vector("weight", part, Initialization.ONE, Slice.WHOLE, width);
    this.beta =
        config.kind() == NormConfig.Kind.LAYER
            ? at.vector("bias", part, Initialization.ZERO, Slice.WHOLE, width)
            : null;
  }

  /** x [..., width] to [S, width]. */
  public Tensor forward(Pass pass, Tensor x) {
    return NormOp.forward(pass, x, gamma.value(), beta == null ? null : beta.value(), epsilon);
  }
}
