package panamoe.moe;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.comm.Communicator;
import panamoe.config.MoeConfig;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.ExpertOp;
import panamoe.op.Pass;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.param.Adapter;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.ResidentExperts;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Two-layer MLPs of one shape: a layer's E experts, or this rank's. Their weights are stacked, up
 * [E, F, M] (SwiGLU: [E, 2F, M]) and down [E, M, F]; a checkpoint holds a tensor for each expert.
 * If the topology slices experts, S tensor ranks split F (expert slicing, DeepSpeed-MoE §5.2).
 */
public final class Experts {
  private final Activation activation;
  private final Parameter upWeight;
  private final Parameter upBias;
  private final Parameter downWeight;
  private final Parameter downBias;

  /** Declares {@code up} and {@code down} of this rank's experts. */
  public Experts(Declarations at, int hidden, MoeConfig config, ExpertGroups experts) {
    Communicator slices = at.ranks().slices();
    this.activation = config.activation();
    long inner = config.inner();
    long upOutputs = inner * activation.inputsPerOutput();
    Slice outputs = new Slice(slices, 0, activation.inputsPerOutput());
    Slice inputs = new Slice(slices, 1, 1);
    Declarations up = at.in("up");
    Declarations down = at.writing("down");
    this.upWeight = up.expertMatrix(experts, outputs, upOutputs, hidden);
    this.upBias = config.bias() ? up.expertBias(experts, outputs, upOutputs) : null;
    this.downWeight = down.expertMatrix(experts, inputs, hidden, inner);
    // Each slice gives a term of the outputs; the first one adds the bias.
    this.downBias =
        config.bias() && slices.rank() == 0 ? down.expertBias(experts, Slice.WHOLE, hidden) : null;
  }

  /** The stacked matrices. */
  List<Parameter> matrices() {
    return List.of(upWeight, downWeight);
  }

  /**
   * @param rows [R, M], grouped by expert
   * @param offsets INT32 [E + 1], E the experts of this rank
   * @param groups INT32 [E * n + 1], the rows of each adapter within them, or null
   * @param input [S, M] of the layer's gate, or null
   * @return [R, M], this slice's term of the outputs; rows past {@code offsets[E]} undefined
   */
  Tensor forward(Pass pass, Tensor rows, Tensor offsets, Tensor groups, Tensor input) {
    Tensor y = pass.inTurn("outputs", rows.dtype(), rows.size(0), rows.size(1));
    ResidentExperts.forEach(
        pass, upWeight, offsets, groups, input, experts -> forwardInto(pass, experts, rows, y));
    return y;
  }

  /** Whether these rows' adapters change the experts. */
  boolean adapted(Pass pass) {
    return pass.adapters() != null
        && matrices().stream().anyMatch(matrix -> matrix.adapter() != null);
  }

  private void forwardInto(Pass pass, ResidentExperts experts, Tensor rows, Tensor y) {
    Tensor x = experts.rows(rows);
    Tensor up = experts.of(upWeight);
    Tensor inner =
        pass.inTurn("inner", x.dtype(), x.size(0), up.size(1) / activation.inputsPerOutput());
    ExpertOp.forwardInto(
        pass,
        x,
        experts.offsets(),
        up,
        experts.of(upBias),
        Adapter.terms(pass, upWeight, x, experts),
        activation,
        inner);
    ExpertOp.forwardInto(
        pass,
        inner,
        experts.offsets(),
        experts.of(downWeight),
        experts.of(downBias),
        Adapter.terms(pass, downWeight, inner, experts),
        Activation.IDENTITY,
        experts.rows(y));
  }

  /** The experts' outputs without the layer's input. */
  public Tensor forward(Pass pass, Tensor rows, Tensor offsets) {
    return forward(pass, rows, offsets, null, null);
  }

  /**
   * The cost of {@link #forward}.
   *
   * @param rows R
   * @param hit experts of this rank that get rows
   */
  Cost cost(Work work, double rows, double hit) {
    long[] up = upWeight.matrixShape(work.topology());
    long[] down = downWeight.matrixShape(work.topology());
    DType dtype = work.dtype();
    return Cost.linear(work, rows, up[1], up[0], activation, dtype)
        .then(Cost.adapter(work, rows, up[1], up[0], upWeight, dtype))
        .then(Cost.linear(work, rows, down[1], down[0], Activation.IDENTITY, dtype))
        .then(Cost.adapter(work, rows, down[1], down[0], downWeight, dtype))
        .then(Cost.experts(work, upWeight, hit))
        .then(Cost.experts(work, upBias, hit))
        .then(Cost.experts(work, downWeight, hit))
        .then(Cost.experts(work, downBias, hit));
  }
}
