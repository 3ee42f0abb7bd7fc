package panamoe.moe;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.GemmKernels;
import panamoe.comm.Communicator;
import panamoe.config.MoeConfig;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.ExpertOp;
import panamoe.op.Pass;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Two-layer MLPs of one shape: a layer's E experts, or those that this rank holds. Their weights
 * are stacked, up [E, F, M] (SwiGLU: [E, 2F, M]) and down [E, M, F]; a checkpoint holds a tensor
 * for each expert. Where the topology slices experts, S tensor ranks share F (expert slicing,
 * DeepSpeed-MoE §5.2).
 */
public final class Experts {
  private final Activation activation;
  private final Parameter upWeight;
  private final Parameter upBias;
  private final Parameter downWeight;
  private final Parameter downBias;
  private ExpertCache cache; // null: all of them are in memory
  private ExpertLayout layout;
  private int first;

  /** Declares {@code up} and {@code down} of the experts that this rank holds. */
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
    // Each slice adds a term to the outputs, the first one the bias.
    this.downBias =
        config.bias() && slices.rank() == 0 ? down.expertBias(experts, Slice.WHOLE, hidden) : null;
  }

  /** The stacked matrices. */
  List<Parameter> matrices() {
    return List.of(upWeight, downWeight);
  }

  /** An expert as a unit, where they are not all in memory. */
  ExpertLayout layout(Backend backend, WeightTypes types) {
    return ExpertLayout.of(backend, types, upWeight, downWeight);
  }

  /**
   * Takes matrices from a cache from now on.
   *
   * @param firstOfLayer number of this layer's first expert among those of all layers
   */
  void readThrough(ExpertCache newCache, ExpertLayout newLayout, int firstOfLayer) {
    cache = newCache;
    layout = newLayout;
    first = firstOfLayer;
  }

  /**
   * @param rows [R, M], grouped by expert
   * @param offsets INT32 [E + 1], E the experts of this rank
   * @param meanwhile runs while experts are read that are not in memory
   * @return [R, M], the term of this rank's slices: the outputs are the sum over the slices; rows
   *     past {@code offsets[E]} undefined
   */
  Tensor forward(Pass pass, Tensor rows, Tensor offsets, Runnable meanwhile) {
    if (cache == null) {
      return forwardAll(pass, rows, offsets);
    }
    int[] starts = offsets.toInts();
    int[] wanted =
        IntStream.range(0, starts.length - 1)
            .filter(e -> starts[e] < starts[e + 1])
            .map(e -> first + e)
            .toArray();
    Tensor y = pass.allocate(rows.dtype(), rows.shape());
    cache.use(
        wanted,
        meanwhile,
        (unit, expert) -> {
          int e = expert - first;
          forward(
              pass, e, unit, rows.rows(starts[e], starts[e + 1]), y.rows(starts[e], starts[e + 1]));
        });
    return y;
  }

  /** One expert on its rows: a group of the products in {@link #forward}, to the same bits. */
  private void forward(Pass pass, int e, MemorySegment unit, Tensor rows, Tensor y) {
    long[] up = layout.upShape();
    long[] down = layout.downShape();
    Tensor offsets = pass.allocate(DType.INT32, 2);
    offsets.copyFrom(MemorySegment.ofArray(new int[] {0, Math.toIntExact(rows.size(0))}));
    Tensor inner =
        ExpertOp.forward(
            pass,
            rows,
            offsets,
            layout.up(pass.scope(), unit, 1, up[0], up[1]),
            bias(pass, upBias, e),
            activation);
    pass.backend()
        .expertForward(
            inner,
            offsets,
            layout.down(pass.scope(), unit, 1, down[0], down[1]),
            y,
            new GemmKernels.Epilogue(Activation.IDENTITY, bias(pass, downBias, e), null));
  }

  private static Tensor bias(Pass pass, Parameter all, int e) {
    if (all == null) {
      return null;
    }
    long size = all.value().size(1);
    MemorySegment own = all.value().data().asSlice(e * size * Float.BYTES, size * Float.BYTES);
    return pass.scope().over(own, DType.FLOAT32, 1, size);
  }

  /** The experts' outputs, with nothing to do meanwhile. */
  public Tensor forward(Pass pass, Tensor rows, Tensor offsets) {
    return forward(pass, rows, offsets, () -> {});
  }

  private Tensor forwardAll(Pass pass, Tensor rows, Tensor offsets) {
    Tensor inner =
        ExpertOp.forward(
            pass, rows, offsets, upWeight.value(), Parameter.valueOf(upBias), activation);
    return ExpertOp.forward(
        pass, inner, offsets, downWeight.value(), Parameter.valueOf(downBias), Activation.IDENTITY);
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
        .then(Cost.linear(work, rows, down[1], down[0], Activation.IDENTITY, dtype))
        .then(Cost.experts(work, upWeight, hit))
        .then(Cost.experts(work, upBias, hit))
        .then(Cost.experts(work, downWeight, hit))
        .then(Cost.experts(work, downBias, hit));
  }
}
