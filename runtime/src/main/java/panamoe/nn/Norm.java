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
  private static final Parameter.Part PART = Parameter.Part.NORM;

  private final float epsilon;
  private final float offset; // of gamma
  private final Parameter gamma;
  private final Parameter beta;

  private Norm(NormConfig config, Parameter gamma, Parameter beta) {
    this.epsilon = (float) config.epsilon();
    this.offset = config.offset();
    this.gamma = gamma;
    this.beta = beta;
  }

  /** Declares {@code weight} [width] and, for LayerNorm, {@code bias} [width]. */
  public Norm(Declarations at, NormConfig config, long width) {
    this(
        config,
        at.vector("weight", PART, initial(config), Slice.WHOLE, width),
        config.kind() == NormConfig.Kind.LAYER
            ? at.vector("bias", PART, Initialization.ZERO, Slice.WHOLE, width)
            : null);
  }

  /** Like the constructor, for activations that are sliced over tensor ranks. */
  static Norm overSlices(Declarations at, NormConfig config, long width) {
    return new Norm(
        config,
        at.vectorOverSlices("weight", PART, initial(config), width),
        config.kind() == NormConfig.Kind.LAYER
            ? at.vectorOverSlices("bias", PART, Initialization.ZERO, width)
            : null);
  }

  /** Scales by 1, whatever the offset. */
  private static Initialization initial(NormConfig config) {
    return config.offset() == 0 ? Initialization.ONE : Initialization.ZERO;
  }

  /** x [..., width] to [S, width]. */
  public Tensor forward(Pass pass, Tensor x) {
    return NormOp.forward(
        pass, x, gamma.value(), beta == null ? null : beta.value(), epsilon, offset);
  }

  /** Of x [S, width]. */
  public Cost cost(Work work) {
    return cost(work, 1);
  }

  /** Of x [S, groups, width]. */
  Cost cost(Work work, double groups) {
    double y = work.bytes(groups * gamma.matrixShape()[0]);
    double statistics = work.training() ? work.bytes32(groups * (beta == null ? 1 : 2)) : 0;
    return Cost.weights(work, gamma)
        .then(Cost.weights(work, beta))
        .then(Cost.activations(work, y + statistics, 2 * y));
  }
}
