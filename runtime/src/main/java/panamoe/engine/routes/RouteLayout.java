package panamoe.engine.routes;

import java.util.List;

/**
 * Where the routes of a row lie among floats: for each MoE layer its K experts, best first, their
 * weights, and the part of the gate's weight that they keep.
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

  /** Floats of a row. */
  public int width() {
    return width;
  }

  /** The expert of a row's choice {@code k} in MoE layer number {@code i}. */
  public int expert(float[] row, int i, int k) {
    return (int) row[starts[i] + k]; // exact: there are at most 1024
  }

  /** Its combine weight; 0 if the route was dropped. */
  float weight(float[] row, int i, int k) {
    return row[starts[i] + layers.get(i).topK() + k];
  }

  /** The part of what all choices of the gate weigh; 1 unless they were limited. */
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

  /** The expert of the largest weight in each MoE layer; the better choice where weights tie. */
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
