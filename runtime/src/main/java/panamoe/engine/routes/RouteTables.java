package panamoe.engine.routes;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The gates' decisions of a step. All layers write to one tensor, so the host copies once and no
 * kernel is added; a replayed step writes to it again. Where requests limit K, each layer also
 * writes the weights of all its gate's choices.
 */
public final class RouteTables implements RouteObserver {
  /** Elements in 64 bytes, the alignment of tables. */
  private static final int ALIGNED = 16;

  private final RouteLayout layout;
  private final int rows;
  private final int[] starts;
  // The tensor that holds both tables.
  private final HostView tables;
  private final long weightsStart;
  private final Tensor choice;
  private final Tensor weight;
  // For each layer the weights [S, K] of all choices; null where K is not limited.
  private final List<HostView> unlimited = new ArrayList<>();
  private int next;

  /**
   * @param rows of the step
   */
  public RouteTables(TensorScope scope, RouteLayout layout, int rows) {
    this.layout = layout;
    this.rows = rows;
    List<RoutedLayer> layers = layout.layers();
    this.starts = new int[layers.size()];
    int elements = 0;
    for (int i = 0; i < starts.length; i++) {
      starts[i] = elements;
      elements += Math.ceilDiv(rows * layers.get(i).topK(), ALIGNED) * ALIGNED;
    }
    this.weightsStart = (long) elements * Integer.BYTES;
    Tensor all = scope.allocate(DType.UINT8, 2 * weightsStart);
    this.tables = HostView.of(all);
    this.choice = all.part(0, DType.INT32, elements);
    this.weight = all.part(weightsStart, DType.FLOAT32, elements);
  }

  /** Waits for the step's end, then copies what the host needs of it. */
  public void read() {
    tables.read();
    for (int i = 0; i < unlimited.size(); i++) {
      if (unlimited.get(i) != null) {
        unlimited.get(i).read();
      }
    }
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
  public void unlimited(Routes routes) {
    while (unlimited.size() < next) {
      unlimited.add(null); // an earlier layer without a limit
    }
    unlimited.add(HostView.of(routes.weight()));
  }

  @Override
  public void observe(int layer, Routes routes) {}

  /** Adds the routes of all rows of the computed step. */
  public void addTo(RouteCounts counts) {
    MemorySegment places = tables.memory();
    long firstWeight = weightsStart / Float.BYTES;
    counts.addRows(rows);
    for (int i = 0; i < starts.length; i++) {
      double kept = rows;
      if (limited(i)) {
        kept = 0;
        for (int row = 0; row < rows; row++) {
          kept += kept(i, row);
        }
      }
      counts.addKept(i, kept);
      int end = starts[i] + rows * layout.layers().get(i).topK();
      for (int at = starts[i]; at < end; at++) {
        counts.add(
            i,
            places.getAtIndex(ValueLayout.JAVA_INT, at),
            places.getAtIndex(ValueLayout.JAVA_FLOAT, firstWeight + at));
      }
    }
  }

  /** Copies a row's routes of the computed step. */
  public void copy(int row, float[] into) {
    MemorySegment places = tables.memory();
    long firstWeight = weightsStart / Float.BYTES;
    for (int i = 0; i < starts.length; i++) {
      int topK = layout.layers().get(i).topK();
      for (int k = 0; k < topK; k++) {
        int at = starts[i] + row * topK + k;
        int expert = places.getAtIndex(ValueLayout.JAVA_INT, at);
        float weight = places.getAtIndex(ValueLayout.JAVA_FLOAT, firstWeight + at);
        layout.set(into, i, k, expert, weight);
      }
      layout.setKept(into, i, kept(i, row));
    }
  }

  private boolean limited(int i) {
    return i < unlimited.size() && unlimited.get(i) != null;
  }

  /** The part of the gate's weight that a row's experts have. */
  private float kept(int i, int row) {
    if (!limited(i)) {
      return 1;
    }
    MemorySegment weights = unlimited.get(i).memory();
    long choices = weights.byteSize() / Float.BYTES / rows;
    double all = 0;
    double kept = 0;
    for (int k = 0; k < choices; k++) {
      float one = weights.getAtIndex(ValueLayout.JAVA_FLOAT, row * choices + k);
      all += one;
      kept += k < layout.layers().get(i).topK() ? one : 0;
    }
    return all == 0 ? 1 : (float) (kept / all);
  }
}
