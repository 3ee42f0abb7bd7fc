package panamoe.op;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.BalanceKernels.BatchPart;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Sums over the choices of several layers' gates in one pass, for a loss that takes their tokens as
 * one batch. Complete when the forward has ended. Used by one thread.
 */
final class LayerSums {
  private final Backend backend;
  private final TensorScope scope;
  private final List<Tensor> layers = new ArrayList<>();
  private boolean closed;
  private Sums all;

  LayerSums(Backend backend, TensorScope scope) {
    this.backend = backend;
    this.scope = scope;
  }

  /**
   * Adds a layer, unless this is {@link #close}d.
   *
   * @param parts FLOAT64, rows of {@link BatchPart}; copied
   */
  void add(Tensor parts) {
    if (!closed) {
      Tensor kept = scope.allocate(parts.dtype(), parts.shape());
      backend.copy(parts, kept);
      layers.add(kept);
    }
    parts.release();
  }

  /** From now on layers are recomputed, and not added. */
  void close() {
    closed = true;
  }

  /** The sums of all layers, for the kernel of the gradient. */
  Sums all(int experts) {
    if (all == null) {
      long count = layers.stream().mapToLong(parts -> parts.size(0)).sum();
      Tensor parts = scope.allocate(DType.FLOAT64, count, BatchPart.elements(experts));
      long first = 0;
      for (Tensor layer : layers) {
        backend.copy(layer, parts.rows(first, first += layer.size(0)));
        layer.release();
      }
      all = Sums.allocate(scope, 1, experts);
      backend.balanceJoin(parts, all, scope.allocate(DType.FLOAT32, 1));
      parts.release();
    }
    return all;
  }
}
