package panamoe.nn;

import java.util.stream.IntStream;
import panamoe.config.EmbeddingConfig.Relative;
import panamoe.op.EmbeddingOp;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The learned bias of attention by relative position that all layers share. Used by one thread at a
 * time.
 */
public final class RelativePositions {
  private final Relative config;
  private final boolean both;
  private final Parameter weight;
  private Tensor buckets;

  /**
   * Declares {@code weight} FLOAT32 [buckets, H].
   *
   * @param both whether a token also sees later ones
   */
  public RelativePositions(Declarations at, Relative config, int heads, boolean both) {
    this.config = config;
    this.both = both;
    this.weight = at.floatTable(Parameter.Part.ATTENTION, config.buckets(), heads);
  }

  /** Makes the buckets of all distances, before the first forward. */
  public void makeBuckets(TensorScope scope) {
    int reach = config.distance();
    int[] all =
        IntStream.rangeClosed(-reach, reach).map(offset -> config.bucket(offset, both)).toArray();
    buckets = scope.allocate(DType.INT32, all.length).set(all);
  }

  /** FLOAT32 [2R + 1, H], R the longest distance with a bucket of its own. */
  Tensor bias(Pass pass) {
    return EmbeddingOp.forward(pass, buckets, weight.value());
  }
}
