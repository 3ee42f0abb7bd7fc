package panamoe.harness.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;
import panamoe.parallel.Ranks;
import panamoe.plan.Constant;
import panamoe.plan.Node;
import panamoe.plan.TrainingEfficiency;
import panamoe.tensor.DType;

class TrainCostsTest {
  private static final Node NODE = Node.KNOWN.get("dgx-h100");

  private static Constant constant(double value, String unit) {
    return new Constant(value, unit, Constant.Kind.ASSUMED, "test");
  }

  @Test
  void theCostsThatStepsHaveAreFound() {
    TrainingEfficiency costsOfSteps =
        TrainingEfficiency.measured(
            new TrainingEfficiency.Layers(constant(4e-4, "s"), constant(6e-12, "s")),
            constant(0.7, "of the peak"),
            constant(0.4, "of the peak"));
    try (MeasuredModels models = new MeasuredModels(Ranks.alone(), null, DType.BFLOAT16)) {
      TrainCosts costs = new TrainCosts(models);
      double[] seconds =
          costs.probes().stream()
              .mapToDouble(probe -> probe.predicted(NODE, costsOfSteps).seconds())
              .toArray();
      TrainingEfficiency found = costs.efficiency(NODE, seconds);
      costsOfSteps
          .constants()
          .forEach(
              (name, constant) ->
                  assertEquals(
                      constant.value(),
                      found.constants().get(name).value(),
                      1e-3 * constant.value(),
                      name));
    }
  }

  @Test
  void timesThatNoCostGivesLeaveCostsAtTheirBounds() {
    try (MeasuredModels models = new MeasuredModels(Ranks.alone(), null, DType.FLOAT32)) {
      // Long texts take an hour, and everything else no time at all.
      TrainingEfficiency found =
          new TrainCosts(models).efficiency(NODE, new double[] {1e-9, 1e-9, 3600, 1e-9});
      Map<String, Double> bounds =
          Map.of("layer", 1e-8, "activation", 1e-6, "flops_share", 2.0, "bandwidth_share", 2.0);
      bounds.forEach(
          (name, bound) ->
              assertEquals(bound, found.constants().get(name).value(), 1e-6 * bound, name));
    }
  }
}
