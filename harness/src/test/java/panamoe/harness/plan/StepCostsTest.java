package panamoe.harness.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import panamoe.parallel.Ranks;
import panamoe.plan.Constant;
import panamoe.plan.Efficiency;
import panamoe.plan.Node;
import panamoe.tensor.DType;

class StepCostsTest {
  private static final Node NODE = Node.KNOWN.get("dgx-h100");

  private static Constant seconds(double value) {
    return new Constant(value, "s", Constant.Kind.ASSUMED, "test");
  }

  private static Constant share(double value) {
    return new Constant(value, "of the peak", Constant.Kind.ASSUMED, "test");
  }

  private static Efficiency efficiency(double... values) {
    return Efficiency.measured(
        new Efficiency.Engine(seconds(values[0]), seconds(values[1])),
        seconds(values[2]),
        seconds(values[3]),
        share(values[4]),
        share(values[5]));
  }

  @Test
  void theCostsThatStepsHaveAreFound() {
    double[] costsOfSteps = {2e-4, 3e-9, 5e-5, 2e-6, 0.7, 0.4};
    try (MeasuredModels models = new MeasuredModels(Ranks.alone(), null, DType.BFLOAT16)) {
      StepCosts costs = new StepCosts(models);
      double[] seconds = costs.predicted(NODE, efficiency(costsOfSteps));
      Efficiency found = costs.efficiency(NODE, seconds);
      List<Constant> values =
          List.of(
              found.engine().step(),
              found.engine().logit(),
              found.layer(),
              found.expert(),
              found.bandwidth(),
              found.flops());
      for (int i = 0; i < costsOfSteps.length; i++) {
        // Costs that come later count as nothing: the bytes of narrow models, by the full
        // bandwidth.
        assertEquals(
            costsOfSteps[i], values.get(i).value(), 0.05 * costsOfSteps[i], values.get(i).source());
        assertEquals(Constant.Kind.MEASURED, values.get(i).kind());
      }
    }
  }

  @Test
  void aMachineThatWasBusyGivesCostsAllTheSame() {
    try (MeasuredModels models = new MeasuredModels(Ranks.alone(), null, DType.FLOAT32)) {
      StepCosts costs = new StepCosts(models);
      // Fewer layers take longer than many, and the wide model no time at all.
      Efficiency found = costs.efficiency(NODE, new double[] {5e-3, 4e-3, 3e-3, 1e-9, 1e3, 1e-9});
      found.constants().forEach((name, constant) -> assertEquals(true, constant.value() > 0, name));
    }
  }
}
