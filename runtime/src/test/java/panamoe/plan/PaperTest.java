package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceMemory;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.plan.Paper.Prediction;
import panamoe.tensor.DType;

/** Compares the cost model with the DeepSpeed-MoE paper's latencies. */
class PaperTest {
  private static final Paper PAPER = Paper.fitted();

  static List<Prediction> predictions() {
    return PAPER.predictions();
  }

  @ParameterizedTest
  @MethodSource("predictions")
  void isWithinTenPercent(Prediction prediction) {
    assertEquals(0, prediction.error(), 0.1, prediction.point().name());
  }

  @Test
  void twoPointsFitAndSevenAreLeftToPredict() {
    assertEquals(9, PaperPoint.ALL.size());
    assertEquals(2, PaperPoint.FITTED.size());
    assertTrue(PaperPoint.ALL.containsAll(PaperPoint.FITTED));
    for (Prediction prediction : predictions()) {
      boolean fitted = PaperPoint.FITTED.contains(prediction.point());
      assertEquals(fitted, Math.abs(prediction.error()) < 1e-6, prediction.point().name());
    }
  }

  @Test
  void theStudentIsFasterOnHalfTheGpus() {
    assertEquals(0, PAPER.student().error(), 0.1);
    for (Paper.Fewest fewest : PAPER.fewestGpus()) {
      assertEquals(fewest.published(), fewest.predicted(), fewest.model());
    }
  }

  @Test
  void throughputGrowsFasterThanTheGpus() {
    double before = 0;
    for (Prediction prediction : predictions().subList(0, 4)) {
      double perGpu = PaperPoint.BATCH / prediction.time().seconds();
      assertTrue(perGpu > before, prediction.point().name());
      before = perGpu;
    }
  }

  @Test
  void everyOptimizationOfTheExchangeAndOfSlicesCounts() {
    Prediction largest = predictions().getLast();
    assertEquals(
        List.of("hierarchical exchange", "coordinated exchange", "expert slicing", "any of these"),
        largest.without().stream().map(Paper.Without::optimization).toList());
    double all = largest.without().getLast().seconds();
    assertTrue(all > 1.3 * largest.time().seconds());
    for (Paper.Without without : largest.without()) {
      assertTrue(without.seconds() <= all, without.optimization());
    }
  }

  /**
   * 4h²L + 8h²(L - Lm) for each of T tensor ranks, and 8h² Lm for each of 128 places that an expert
   * is on, in bytes of two.
   */
  @ParameterizedTest
  @CsvSource({
    "1.3B+MoE-128, 1, 1.61, 0.81",
    "2.4B+MoE-128, 1, 3.29, 1.64",
    "8B+MoE-128,   4, 2.68, 5.37",
    "24B+MoE-128,  8, 4.03, 16.1",
    "47B+MoE-128,  8, 7.78, 31.1",
  })
  void weightsOfAGpuAddUp(String name, int tensor, double others, double experts) {
    Topology topology = new Topology(128, 128, tensor, 1);
    try (LanguageModel model = new LanguageModel(NamedModels.of(name))) {
      assertEquals(others, gigabytes(model, topology, false), 0.01);
      assertEquals(experts, gigabytes(model, topology, true), 0.06);
      double embeddings = 2 * (50257 + 2048) * model.config().hidden() / 1e9;
      double all =
          InferenceMemory.of(
                      model, WeightTypes.of(DType.BFLOAT16), DType.BFLOAT16, 0, false, topology)
                  .weights()
              / 1e9;
      // Biases, norms and routers are the rest.
      assertEquals(others + experts + embeddings, all, 0.02 * all);
    }
  }

  private static double gigabytes(LanguageModel model, Topology topology, boolean experts) {
    return model.parameters().parameters().stream()
            .filter(parameter -> parameter.role() == Parameter.Role.OPERAND)
            .filter(
                parameter ->
                    experts
                        ? parameter.part() == Parameter.Part.EXPERT
                        : parameter.part() == Parameter.Part.ATTENTION
                            || parameter.part() == Parameter.Part.MLP)
            .mapToDouble(parameter -> 2.0 * parameter.count(topology))
            .sum()
        / 1e9;
  }
}
