package panamoe.engine.routes;

import java.util.ArrayList;
import java.util.List;

/**
 * Sums over rows, for each expert: how often it was chosen and with what weight; for each layer:
 * how much of the gate's weight was kept. Used by one thread.
 */
public final class RouteCounts {
  private final List<RoutedLayer> layers;
  private final long[][] tokens;
  private final double[][] weights;
  private final double[] kept;
  private long rows;

  public RouteCounts(List<RoutedLayer> layers) {
    this.layers = layers;
    this.tokens = new long[layers.size()][];
    this.weights = new double[layers.size()][];
    this.kept = new double[layers.size()];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = new long[layers.get(i).experts()];
      weights[i] = new double[layers.get(i).experts()];
    }
  }

  /**
   * Counts a route.
   *
   * @param i index of the MoE layer
   */
  void add(int i, int expert, float weight) {
    tokens[i][expert]++;
    weights[i][expert] += weight;
  }

  /** Counts {@code more} rows, whose routes are added one by one. */
  void addRows(int more) {
    rows += more;
  }

  /** Adds the kept part of the gate's weight, at most 1 per row, in MoE layer {@code i}. */
  void addKept(int i, double more) {
    kept[i] += more;
  }

  /** Counts a row and its routes. */
  public void add(RouteLayout layout, float[] row) {
    addRows(1);
    for (int i = 0; i < tokens.length; i++) {
      addKept(i, layout.kept(row, i));
      for (int k = 0; k < layers.get(i).topK(); k++) {
        add(i, layout.expert(row, i, k), layout.weight(row, i, k));
      }
    }
  }

  /** The sums as integers, to send to another rank. */
  public long[] pack() {
    int experts = layers.stream().mapToInt(RoutedLayer::experts).sum();
    long[] packed = new long[1 + tokens.length + 2 * experts];
    int next = 0;
    packed[next++] = rows;
    for (int i = 0; i < tokens.length; i++) {
      packed[next++] = Double.doubleToRawLongBits(kept[i]);
      for (int e = 0; e < tokens[i].length; e++) {
        packed[next++] = tokens[i][e];
        packed[next++] = Double.doubleToRawLongBits(weights[i][e]);
      }
    }
    return packed;
  }

  /** Adds the packed sums of several ranks. */
  public void addPacked(long[] packed) {
    int next = 0;
    while (next < packed.length) {
      rows += packed[next++];
      for (int i = 0; i < tokens.length; i++) {
        kept[i] += Double.longBitsToDouble(packed[next++]);
        for (int e = 0; e < tokens[i].length; e++) {
          tokens[i][e] += packed[next++];
          weights[i][e] += Double.longBitsToDouble(packed[next++]);
        }
      }
    }
  }

  public RouteStatistics statistics() {
    List<RouteStatistics.Layer> statistics = new ArrayList<>();
    for (int i = 0; i < tokens.length; i++) {
      RoutedLayer layer = layers.get(i);
      double[] mean = new double[layer.experts()];
      for (int e = 0; e < mean.length; e++) {
        mean[e] = tokens[i][e] == 0 ? 0 : weights[i][e] / tokens[i][e];
      }
      statistics.add(
          new RouteStatistics.Layer(
              layer.layer(),
              layer.experts(),
              layer.topK(),
              tokens[i].clone(),
              mean,
              rows == 0 ? 1 : kept[i] / rows));
    }
    return new RouteStatistics(List.copyOf(statistics));
  }
}
