package panamoe.param;

import java.util.function.BiConsumer;
import panamoe.op.Gradient;
import panamoe.op.Pass;
import panamoe.tensor.Tensor;

/**
 * What kernels read of a parameter, and what is kept beside it. A representation decides how a
 * weight is stored; the parameter's {@link Parameter.Role} decides which ones it may have.
 */
public sealed interface Weight {
  /** What kernels read; null of {@link Offloaded}, whose matrices they read one by one. */
  Tensor value();

  /**
   * A weight that can be updated and saved.
   *
   * @param value row-major, in the compute dtype; the same tensor as the master in float32
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
   * An operand for inference, in the order in which the backend's GEMM reads it.
   *
   * @param value packed
   */
  record Packed(Tensor value) implements Weight {}

  /**
   * Experts' matrices for inference on a disk, of which a cache has some in memory.
   *
   * @param cache of the experts of all layers that this rank holds
   * @param first number of this layer's first expert among them
   * @param layout of an expert's matrix in the cache's memory
   * @param next begins to read experts of the following layer, given this one's input [S, M], or
   *     null where that is not known
   */
  record Offloaded(
      ExpertCache cache, int first, ExpertLayout.Matrix layout, BiConsumer<Pass, Tensor> next)
      implements Weight {
    @Override
    public Tensor value() {
      return null;
    }
  }
}
