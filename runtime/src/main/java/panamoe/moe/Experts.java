package panamoe.moe;

import panamoe.backend.Activation;
import panamoe.comm.Alone;
import panamoe.comm.Communicator;
import panamoe.op.ExpertOp;
import panamoe.op.Pass;
import panamoe.op.SliceOp;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.param.Slice;
import panamoe.tensor.Tensor;

/**
 * Two-layer MLPs of one shape: a layer's E experts, or those that this rank holds. Their weights
 * are stacked, up [E, F, M] (SwiGLU: [E, 2F, M]) and down [E, M, F]; a checkpoint holds a tensor
 * for each expert. Where the topology slices experts, tensor ranks share F (expert slicing,
 * DeepSpeed-MoE §5.2).
 */
public final class Experts {
  private final Communicator slices;
  private final Activation activation;
  private final Parameter upWeight;
  private final Parameter upBias;
  private final Parameter downWeight;
  private final Parameter downBias;

  public Experts(
      ParameterStore store,
      String name,
      MoeConfig config,
      ExpertGroups experts,
      float deviation,
      float downDeviation) {
    this.slices = store.ranks().topology().sliceExperts() ? store.ranks().tensor() : Alone.WORLD;
    this.activation = config.activation();
    long hidden = config.hidden();
    long inner = config.expertHidden();
    long upOutputs = inner * activation.inputsPerOutput();
    Slice outputs = new Slice(slices, 0, activation.inputsPerOutput());
    Slice inputs = new Slice(slices, 1, 1);
    Initialization zero = Initialization.ZERO;
    this.upWeight =
        store.declare(
            name + ".up.weight",
            true,
            new Initialization.Normal(deviation),
            experts,
            outputs,
            upOutputs,
            hidden);
    this.upBias =
        config.bias()
            ? store.declare(name + ".up.bias", false, zero, experts, outputs, upOutputs)
            : null;
    this.downWeight =
        store.declare(
            name + ".down.weight",
            true,
            new Initialization.Normal(downDeviation),
            experts,
            inputs,
            hidden,
            inner);
    // Each slice adds a term to the outputs, the first one the bias.
    this.downBias =
        config.bias() && slices.rank() == 0
            ? store.declare(name + ".down.bias", false, zero, experts, Slice.WHOLE, hidden)
            : null;
  }

  /**
   * @param rows [R, M], grouped by expert
   * @param offsets INT32 [E + 1], E the experts of this rank
   * @return [R, M]; rows past {@code offsets[E]} undefined
   */
  public Tensor forward(Pass pass, Tensor rows, Tensor offsets) {
    Tensor input = SliceOp.enter(pass, rows, slices);
    Tensor inner =
        ExpertOp.forward(pass, input, offsets, upWeight.value(), valueOf(upBias), activation);
    Tensor outputs =
        ExpertOp.forward(
            pass, inner, offsets, downWeight.value(), valueOf(downBias), Activation.IDENTITY);
    return SliceOp.leave(pass, outputs, slices);
  }

  private static Tensor valueOf(Parameter parameter) {
    return parameter == null ? null : parameter.value();
  }
}
