package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainConfigTest {
  private static final double PEAK = 0.02;
  private static final double FINAL = 0.004;

  /** 30 steps of 4 sequences of 25 tokens. */
  private static TrainConfig config(long warmupTokens) {
    return TrainConfig.of(
        new TrainConfig.Schedule(30, PEAK, FINAL, warmupTokens), new TrainConfig.Batch(4, 25, 2));
  }

  /**
   * A step's rate depends on the tokens up to its end: linear over the warm-up, then a cosine from
   * 1 to -1.
   */
  @ParameterizedTest
  @CsvSource({
    "1000, 0, 0.1, 1", // the first step
    "1000, 4, 0.5, 1",
    "1000, 8, 0.9, 1",
    "1000, 9, 1.0, 1", // the warm-up's last token
    "1000, 14, 1.0, 0.7071067811865476", // a quarter of the decay
    "1000, 19, 1.0, 0",
    "1000, 24, 1.0, -0.7071067811865476",
    "1000, 29, 1.0, -1", // the last step
    "1000, 40, 1.0, -1", // after the last step
    "150, 0, 0.6666666666666666, 1", // the warm-up ends within the second step
    "150, 1, 1.0, 0.9984815164333162", // 50 of the 2850 tokens that are left
    "0, 14, 1.0, 0",
    "0, 29, 1.0, -1",
  })
  void theRateRisesWithTokensAndFallsAlongACosine(
      long warmupTokens, int step, double risen, double cosine) {
    double expected = risen < 1 ? PEAK * risen : FINAL + (PEAK - FINAL) * (1 + cosine) / 2;
    assertEquals(expected, config(warmupTokens).learningRate(step), 1e-12);
  }
}
