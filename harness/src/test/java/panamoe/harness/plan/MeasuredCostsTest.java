package panamoe.harness.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import panamoe.parallel.Ranks;
import panamoe.plan.Constant;
import panamoe.plan.Efficiency;
import panamoe.plan.Node;
import panamoe.tensor.DType;

class MeasuredCostsTest {
  private static final Node NODE = Node.KNOWN.get("dgx-h100");

  private static Efficiency efficiency(Map<String, Double> values) {
    Map<String, Constant> constants = new HashMap<>();
    values.forEach(
        (name, value) ->
            constants.put(
                name,
                new Constant(
                    value,
                    name.endsWith("_share") ? "of the peak" : "s",
                    Constant.Kind.ASSUMED,
                    "test")));
    return Efficiency.of(constants);
  }

  /** Times predicted from {@code values} give the same values back. */
  private static void assertFound(
      Map<String, Double> values, Function<MeasuredModels, MeasuredCosts> kind) {
    Efficiency costsOfSteps = efficiency(values);
    try (MeasuredModels models = new MeasuredModels(Ranks.alone(), null, DType.BFLOAT16)) {
      MeasuredCosts costs = kind.apply(models);
      double[] seconds =
          costs.probes().stream()
              .mapToDouble(probe -> probe.predicted(NODE, costsOfSteps).seconds())
              .toArray();
      Map<String, Constant> found = costs.efficiency(NODE, seconds).constants();
      values.forEach(
          (name, value) -> {
            assertEquals(value, found.get(name).value(), 1e-3 * value, name);
            assertEquals(Constant.Kind.MEASURED, found.get(name).kind());
          });
    }
  }

  @Test
  void theCostsOfServingAreFound() {
    assertFound(
        Map.of(
            "step", 2e-4,
            "logit", 3e-9,
            "layer", 5e-5,
            "expert", 2e-6,
            "bandwidth_share", 0.7,
            "flops_share", 0.4),
        MeasuredCosts::ofServing);
  }

  @Test
  void theCostsOfTrainingAreFound() {
    assertFound(
        Map.of("layer", 4e-4, "activation", 6e-12, "bandwidth_share", 0.4, "flops_share", 0.7),
        MeasuredCosts::ofTraining);
  }

  @Test
  void aMachineThatWasBusyGivesCostsAllTheSame() {
    try (MeasuredModels models = new MeasuredModels(Ranks.alone(), null, DType.FLOAT32)) {
      // Inconsistent times: few layers take longer than many, and the wide model takes no time.
      Efficiency found =
          MeasuredCosts.ofServing(models)
              .efficiency(NODE, new double[] {5e-3, 4e-3, 3e-3, 1e-9, 1e3, 1e-9});
      assertEquals(7, found.constants().size());
      found.constants().forEach((name, constant) -> assertTrue(constant.value() > 0, name));
    }
  }

  @Test
  void timesThatNoCostGivesLeaveCostsAtTheirBounds() {
    try (MeasuredModels models = new MeasuredModels(Ranks.alone(), null, DType.FLOAT32)) {
      // Long sequences take an hour, and everything else takes no time.
      Efficiency found =
          MeasuredCosts.ofTraining(models).efficiency(NODE, new double[] {1e-9, 1e-9, 3600, 1e-9});
      Map<String, Double> bounds =
          Map.of("layer", 1e-8, "activation", 1e-6, "flops_share", 2.0, "bandwidth_share", 2.0);
      bounds.forEach(
          (name, bound) -> {
            assertEquals(bound, found.constants().get(name).value(), 1e-6 * bound, name);
            assertEquals(Constant.Kind.BOUND, found.constants().get(name).kind(), name);
          });
    }
  }
}
