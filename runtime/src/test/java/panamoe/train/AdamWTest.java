package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.train.TrainerBench.BATCH;
import static panamoe.train.TrainerBench.SEQUENCE;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.config.GateConfig;
import panamoe.config.ModelPresets.Architecture;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/** Compares an {@link AdamW} step with one computed by hand from the gradients. */
class AdamWTest {
  private static final double PEAK = 0.01;
  private static final double DECAY = 0.5;
  private static final double EPSILON =
      0.05; // large enough that AdamW's step depends on the gradient's norm
  private static final double NO_LIMIT = 1e6;

  private static RunConfig config(double clip) {
    long warmup = 4L * BATCH * SEQUENCE; // the first step goes a quarter of the way
    TrainConfig training =
        new TrainConfig(
            new TrainConfig.Schedule(8, PEAK, 0, warmup),
            new TrainConfig.Batch(BATCH, SEQUENCE, 1),
            new AdamW.Settings(0.9, 0.95, EPSILON, DECAY, clip),
            DType.FLOAT32,
            false,
            TrainConfig.Checkpoints.of(0, 0));
    return TrainerBench.config(Architecture.PR_MOE, GateConfig.dropless(1), training);
  }

  /**
   * Clips at a tenth of the norm, at the norm, and above: all gradients are scaled by one factor,
   * never up.
   */
  @ParameterizedTest
  @ValueSource(doubles = {0.1, 1, 1.5, NO_LIMIT})
  void theGradientIsClippedByItsGlobalNorm(double limit) {
    double norm;
    try (TrainerBench bench = TrainerBench.open(config(NO_LIMIT), 2)) {
      norm = bench.trainer().next().gradientNorm();
    }
    try (TrainerBench bench = TrainerBench.open(config(limit * norm), 2)) {
      List<float[]> before = bench.weights();
      assertEquals(norm, bench.trainer().next().gradientNorm(), "the norm before clipping");
      List<Parameter> parameters = bench.model().parameters().parameters();
      List<float[]> gradients =
          parameters.stream().map(each -> each.gradient().toFloats()).toList();
      assertEquals(norm, norm(gradients), 1e-5 * norm);

      double scale = limit < 1 ? limit : 1;
      double largest = 0;
      for (int p = 0; p < parameters.size(); p++) {
        Parameter parameter = parameters.get(p);
        double decay = parameter.decayed() ? DECAY : 0;
        float[] after = parameter.master().toFloats();
        for (int i = 0; i < after.length; i++) {
          double weight = before.get(p)[i];
          double gradient = scale * gradients.get(p)[i];
          // The bias-corrected moments of a single gradient are that gradient and its square.
          double step = gradient / (Math.abs(gradient) + EPSILON);
          assertEquals(
              weight - PEAK / 4 * (step + decay * weight), after[i], 1e-6, parameter.name());
          largest = Math.max(largest, PEAK / 4 * Math.abs(step));
        }
      }
      assertTrue(largest > 1e-4, "steps of " + largest + " are too small to compare");
    }
  }

  private static double norm(List<float[]> gradients) {
    double sum = 0;
    for (float[] gradient : gradients) {
      for (float value : gradient) {
        sum += (double) value * value;
      }
    }
    return Math.sqrt(sum);
  }
}
