package panamoe.moe;

import panamoe.backend.Activation;
import panamoe.nn.Initialization;
import panamoe.nn.Parameter;
import panamoe.nn.ParameterStore;
import panamoe.op.ExpertOp;
import panamoe.op.Pass;
import panamoe.tensor.Tensor;

/**
 * E two-layer MLPs of one shape. Their weights are stacked, up [E, F, M] (SwiGLU: [E, 2F, M]) and down [E, M, F]; a
 * checkpoint holds a tensor for each expert.
 */
public final class Experts {
  private final Activation activation;
  private final Parameter upWeight;
  private final Parameter upBias;
  private final Parameter downWeight;
  private final Parameter downBias;

  public Experts(ParameterStore store, String name, MoeConfig config, float deviation, float downDeviation) {
    this.activation = config.activation();
    long experts = config.experts();
    long hidden = config.hidden();
    long inner = config.expertHidden();
    long upOutputs = inner * activation.inputsPerOutput();
    Parameter.Part part = Parameter.Part.EXPERT;
    this.upWeight =
        store.declare(
            name + ".up.weight", part, true, new Initialization.Normal(deviation), experts, upOutputs, hidden);
    this.upBias =
        config.bias()
            ? store.declare(name + ".up.bias", part, false, Initialization.ZERO, experts, upOutputs)
            : null;
    this.downWeight =
        store.declare(
            name + ".down.weight", part, true, new Initialization.Normal(downDeviation), experts, hidden, inner);
    this.downBias =
        config.bias() ? store.declare(name + ".down.bias", part, false, Initialization.ZERO, experts, hidden) : null;
  }

  /**
   * @param rows [R, M], grouped by expert
   * @param offsets INT32 [E + 1]
   * @return [R, M]; rows past {@code offsets[E]} undefined
   */
  public Tensor forward(Pass pass, Tensor rows, Tensor offsets) {
    Tensor inner = ExpertOp.forward(pass, rows, offsets, upWeight.value(), valueOf(upBias), activation);
    return ExpertOp.forward(
        pass, inner, offsets, downWeight.value(), valueOf(downBias), Activation.IDENTITY);
  }

  private static Tensor valueOf(Parameter parameter) {
    return parameter == null ? null : parameter.value();
  }
}
