package panamoe.engine.routes;

import java.util.List;

/**
 * The layout of a row's routes as floats. For each MoE layer: K experts, best first; their weights;
 * the kept part of the gate's weight.
 */
public final class RouteLayout {
  private final List<RoutedLayer> layers;
  private final int[] starts;
  private final int width;

  public RouteLayout(List<RoutedLayer> layers) {
    this.layers = layers;
    this.starts = new int[layers.size()];
    int next = 0;
    for (int i = 0; i < starts.length; i++) {
      starts[i] = next;
      next += 2 * layers.get(i).topK() + 1;
    }
    this.width = next;
  }

  public List<RoutedLayer> layers() {
    return layers;
  }

  /** Floats for each row. */
  public int width() {
    return width;
  }

  /** The expert of choice {@code k} in MoE layer {@code i}. */
  public int expert(float[] row, int i, int k) {
    return (int) row[starts[i] + k]; // exact: there are at most 1024 experts
  }

  /** The combine weight of that choice; 0 if it was dropped. */
  public float weight(float[] row, int i, int k) {
    return row[starts[i] + layers.get(i).topK() + k];
  }

  /** The part of the gate's weight that top-k left in MoE layer {@code i}; 1 without a limit. */
  float kept(float[] row, int i) {
    return row[starts[i] + 2 * layers.get(i).topK()];
  }

  public void setKept(float[] row, int i, float kept) {
    row[starts[i] + 2 * layers.get(i).topK()] = kept;
  }

  public void set(float[] row, int i, int k, int expert, float weight) {
    row[starts[i] + k] = expert;
    row[starts[i] + layers.get(i).topK() + k] = weight;
  }

  /** The expert with the largest weight in each MoE layer; on ties the better choice. */
  public int[] best(float[] row) {
    int[] best = new int[starts.length];
    for (int i = 0; i < starts.length; i++) {
      int first = 0;
      for (int k = 1; k < layers.get(i).topK(); k++) {
        if (weight(row, i, k) > weight(row, i, first)) {
          first = k;
        }
      }
      best[i] = expert(row, i, first);
    }
    return best;
  }
}
