package panamoe.param;

import java.util.List;
import java.util.function.BiConsumer;
import panamoe.op.Gradient;
import panamoe.op.Pass;
import panamoe.tensor.Tensor;

/**
 * The storage of a parameter: the tensor that kernels read, with its master and gradient. The
 * parameter's {@link Parameter.Role} decides which kinds it may have.
 */
public sealed interface Weight {
  /** The tensor that kernels read; null if {@link Offloaded}: they get single matrices then. */
  Tensor value();

  /**
   * A weight that can be updated and saved.
   *
   * @param value row-major, in the compute dtype; the master itself in float32
   * @param master FLOAT32: what the optimizer updates
   * @param gradient FLOAT32, or null unless the model trains
   */
  record Trained(Tensor value, Tensor master, Gradient gradient) implements Weight {}

  /**
   * A weight for inference that is stored row by row: a table or a vector.
   *
   * @param value in the parameter's dtype for inference
   */
  record RowMajor(Tensor value) implements Weight {}

  /**
   * A GEMM operand for inference.
   *
   * @param value packed
   */
  record Packed(Tensor value) implements Weight {}

  /**
   * Experts' matrices for inference on a disk, with a cache of some.
   *
   * @param cache of this rank's experts in all layers
   * @param first index of this layer's first expert in the cache
   * @param layouts of the matrix in the cache's memory, for each of the rank's experts
   * @param next prefetches experts of the next layer, given this one's input [S, M], or null if
   *     unknown
   */
  record Offloaded(
      ExpertCache cache,
      int first,
      List<ExpertLayout.Matrix> layouts,
      BiConsumer<Pass, Tensor> next)
      implements Weight {
    @Override
    public Tensor value() {
      return null;
    }
  }
}
