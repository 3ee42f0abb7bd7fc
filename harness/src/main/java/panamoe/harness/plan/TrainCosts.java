package panamoe.harness.plan;

import java.util.Arrays;
import java.util.List;
import panamoe.plan.Constant;
import panamoe.plan.Node;
import panamoe.plan.TrainingEfficiency;

/**
 * What optimizer steps take beside messages: four small models, in each of which one cost outweighs
 * the others. Used by all ranks together.
 */
final class TrainCosts {
  private static final int SHORT = 32; // tokens, by which launches and weights take most time
  private static final int LONG = 256;
  private static final int SWEEPS = 20;
  private static final int HALVINGS = 40;

  /** What is found; shares as the times that it takes as long as at the peak. */
  private enum Cost {
    LAYER("s", 1e-8, 1, "a step of 18 layers of width 64 over 32 tokens on each rank"),
    BANDWIDTH("of the peak", 0.5, 100, "a step of 3 layers of width 512 over 32 tokens"),
    ACTIVATION("s", 1e-14, 1e-6, "a step of 6 layers of width 128 over 8 texts of 256 tokens"),
    FLOPS("of the peak", 0.5, 100, "a step of 3 layers of width 512 over 4 texts of 256 tokens");

    private final String unit;
    private final double least;
    private final double most;
    private final String source;

    Cost(String unit, double least, double most, String source) {
      this.unit = unit;
      this.least = least;
      this.most = most;
      this.source = source;
    }
  }

  private final List<TrainProbe> probes; // one for each cost

  /**
   * @param models stay the caller's to close
   */
  TrainCosts(MeasuredModels models) {
    probes =
        List.of(
            models.train(MeasuredModels.dense(64, 18), 1, SHORT),
            models.train(MeasuredModels.dense(512, 3), 1, SHORT),
            models.train(MeasuredModels.dense(128, 6), 8, LONG),
            models.train(MeasuredModels.dense(512, 3), 4, LONG));
  }

  List<TrainProbe> probes() {
    return probes;
  }

  /**
   * The costs by which the closed form meets these times: each is set by its own model's, in turns,
   * until they settle.
   *
   * @param seconds of a step of each model
   * @return each cost within its bounds. Where none of these gives the time, as may be on a machine
   *     that was busy, it is the bound that comes nearest, and the closed form misses the time
   */
  TrainingEfficiency efficiency(Node node, double[] seconds) {
    Cost[] costs = Cost.values();
    double[] known = Arrays.stream(costs).mapToDouble(cost -> cost.least).toArray();
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
      for (Cost cost : costs) {
        int i = cost.ordinal();
        double low = cost.least;
        double high = cost.most;
        for (int halving = 0; halving < HALVINGS; halving++) {
          known[i] = Math.sqrt(low * high);
          if (probes.get(i).predicted(node, efficiency(known)).seconds() < seconds[i]) {
            low = known[i];
          } else {
            high = known[i];
          }
        }
      }
    }
    return efficiency(known);
  }

  private static TrainingEfficiency efficiency(double[] known) {
    return TrainingEfficiency.measured(
        new TrainingEfficiency.Layers(
            constant(Cost.LAYER, known), constant(Cost.ACTIVATION, known)),
        constant(Cost.FLOPS, known),
        constant(Cost.BANDWIDTH, known));
  }

  private static Constant constant(Cost cost, double[] known) {
    double value = known[cost.ordinal()];
    return new Constant(
        cost.unit.equals("s") ? value : 1 / value, cost.unit, Constant.Kind.MEASURED, cost.source);
  }
}
