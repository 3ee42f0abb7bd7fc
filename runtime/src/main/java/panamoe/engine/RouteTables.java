package panamoe.engine;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The gates' decisions of a step. All layers write to the same two tensors, so that the host reads
 * two places and no kernel is added; a replayed step writes there again.
 */
final class RouteTables implements RouteObserver {
  /** Elements in 64 bytes, to which tables are aligned. */
  private static final int ALIGNED = 16;

  private final RouteLayout layout;
  private final int rows;
  private final int[] starts;
  private final Tensor choice;
  private final Tensor weight;
  private int next;

  /**
   * @param rows of the step
   */
  RouteTables(TensorScope scope, RouteLayout layout, int rows) {
    this.layout = layout;
    this.rows = rows;
    List<RoutedLayer> layers = layout.layers();
    this.starts = new int[layers.size()];
    int elements = 0;
    for (int i = 0; i < starts.length; i++) {
      starts[i] = elements;
      elements += Math.ceilDiv(rows * layers.get(i).topK(), ALIGNED) * ALIGNED;
    }
    this.choice = scope.allocate(DType.INT32, elements);
    this.weight = scope.allocate(DType.FLOAT32, elements);
  }

  @Override
  public Routes tables(TensorScope scope, long tokens, int experts, int topK) {
    int start = starts[next++];
    return Routes.allocate(
        scope, experts, part(weight, start, tokens, topK), part(choice, start, tokens, topK));
  }

  private static Tensor part(Tensor whole, int start, long tokens, int topK) {
    return whole.rows(start, start + tokens * topK).reshape(tokens, topK);
  }

  @Override
  public void observe(int layer, Routes routes) {}

  /** Adds the routes of all rows of the step, which is computed. */
  void addTo(RouteCounts counts) {
    MemorySegment experts = choice.data();
    MemorySegment weights = weight.data();
    for (int i = 0; i < starts.length; i++) {
      int end = starts[i] + rows * layout.layers().get(i).topK();
      for (int at = starts[i]; at < end; at++) {
        counts.add(
            i,
            experts.getAtIndex(ValueLayout.JAVA_INT, at),
            weights.getAtIndex(ValueLayout.JAVA_FLOAT, at));
      }
    }
  }

  /** Copies the routes of a row of the step, which is computed. */
  void copy(int row, float[] into) {
    MemorySegment experts = choice.data();
    MemorySegment weights = weight.data();
    for (int i = 0; i < starts.length; i++) {
      int topK = layout.layers().get(i).topK();
      for (int k = 0; k < topK; k++) {
        int at = starts[i] + row * topK + k;
        int expert = experts.getAtIndex(ValueLayout.JAVA_INT, at);
        layout.set(into, i, k, expert, weights.getAtIndex(ValueLayout.JAVA_FLOAT, at));
      }
    }
  }
}
