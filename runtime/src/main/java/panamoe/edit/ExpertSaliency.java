package panamoe.edit;

import java.util.Map;
import java.util.TreeMap;
import panamoe.backend.Backend;
import panamoe.backend.Routes;
import panamoe.op.RouteObserver;
import panamoe.tensor.Tensor;

/**
 * Router-weighted activation of each expert (REAP, arXiv 2510.13999): the mean, over the tokens
 * that are routed to it, of the route's weight times the Euclidean norm of the expert's output.
 * Sums are float64. Observes passes without a tape; used by one thread.
 */
public final class ExpertSaliency implements RouteObserver {
  private record Sums(double[] activations, long[] tokens) {
    Sums(int experts) {
      this(new double[experts], new long[experts]);
    }

    double[] means() {
      double[] means = new double[tokens.length];
      for (int expert = 0; expert < means.length; expert++) {
        means[expert] = tokens[expert] == 0 ? 0 : activations[expert] / tokens[expert];
      }
      return means;
    }
  }

  private final Backend backend;
  private final Map<Integer, Sums> layers = new TreeMap<>();

  /**
   * @param backend on which the model runs
   */
  public ExpertSaliency(Backend backend) {
    this.backend = backend;
  }

  @Override
  public void observe(int layer, Routes routes) {}

  @Override
  public void combined(int layer, Routes routes, Tensor outputs) {
    backend.synchronize();
    Sums sums = layers.computeIfAbsent(layer, _ -> new Sums(routes.experts()));
    int[] experts = routes.expert().toInts();
    int[] positions = routes.position().toInts();
    int[] offsets = routes.offsets().toInts();
    float[] weights = routes.weight().toFloats();
    float[] rows = outputs.toFloats();
    int width = Math.toIntExact(outputs.size(1));
    for (int route = 0; route < experts.length; route++) {
      int expert = experts[route];
      if (expert >= 0) {
        int row = offsets[expert] + positions[route];
        sums.activations[expert] += weights[route] * norm(rows, row * width, width);
        sums.tokens[expert]++;
      }
    }
  }

  private static double norm(float[] values, int from, int count) {
    double squares = 0;
    for (int i = from; i < from + count; i++) {
      squares += (double) values[i] * values[i];
    }
    return Math.sqrt(squares);
  }

  /** Each expert's mean by layer; 0 for one that no token was routed to. */
  public Map<Integer, double[]> scores() {
    Map<Integer, double[]> scores = new TreeMap<>();
    layers.forEach((layer, sums) -> scores.put(layer, sums.means()));
    return scores;
  }
}
