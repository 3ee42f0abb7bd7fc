package panamoe.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Draws follow the distribution that the settings describe. */
class SamplerTest {
  private static final float[] LOGITS = {0f, 2f, 1f, -1f, 1.5f};
  private static final int DRAWS = 40_000;

  private static double[] frequencies(SamplingConfig config) {
    Sampler sampler = new Sampler(config, LOGITS.length);
    double[] counts = new double[LOGITS.length];
    for (int i = 0; i < DRAWS; i++) {
      counts[sampler.next(LOGITS.clone())] += 1.0 / DRAWS;
    }
    return counts;
  }

  private static SamplingConfig config(double temperature, int topK, double topP) {
    return new SamplingConfig(temperature, topK, topP, 1, 1, List.of(), 4);
  }

  private static void assertDistribution(
      double temperature, boolean[] allowed, double[] frequencies) {
    double total = 0;
    for (int i = 0; i < LOGITS.length; i++) {
      total += allowed[i] ? Math.exp(LOGITS[i] / temperature) : 0;
    }
    for (int i = 0; i < LOGITS.length; i++) {
      double p = allowed[i] ? Math.exp(LOGITS[i] / temperature) / total : 0;
      double sigma = Math.sqrt(p * (1 - p) / DRAWS);
      assertEquals(p, frequencies[i], 4 * sigma + 1e-9, "token " + i);
    }
  }

  @Test
  void greedyTakesTheBestAndTheLowestOfTies() {
    Sampler sampler = new Sampler(SamplingConfig.greedy(1), 4);
    assertEquals(1, sampler.next(new float[] {0, 3, 3, 1}));
  }

  @Test
  void temperatureScalesTheDistribution() {
    boolean[] all = {true, true, true, true, true};
    assertDistribution(1, all, frequencies(config(1, 0, 1)));
    assertDistribution(0.5, all, frequencies(config(0.5, 0, 1)));
    assertDistribution(3, all, frequencies(config(3, 0, 1)));
  }

  @Test
  void topKKeepsTheKBest() {
    assertDistribution(
        1, new boolean[] {false, true, false, false, true}, frequencies(config(1, 2, 1)));
    assertDistribution(
        1, new boolean[] {false, true, false, false, false}, frequencies(config(1, 1, 1)));
  }

  @Test
  void topPKeepsTheFewestThatReachP() {
    // Probabilities of tokens 1, 4, 2, 0, 3: 0.454, 0.275, 0.167, 0.061, 0.023 (rounded).
    assertDistribution(
        1, new boolean[] {false, true, false, false, false}, frequencies(config(1, 0, 0.4)));
    assertDistribution(
        1, new boolean[] {false, true, false, false, true}, frequencies(config(1, 0, 0.7)));
    assertDistribution(
        1, new boolean[] {false, true, true, false, true}, frequencies(config(1, 0, 0.85)));
    // Within the two best, token 1 alone reaches 0.6.
    assertDistribution(
        1, new boolean[] {false, true, false, false, false}, frequencies(config(1, 2, 0.6)));
  }

  @Test
  void repetitionIsPenalised() {
    SamplingConfig config = new SamplingConfig(0, 0, 1, 2, 1, List.of(), 0);
    Sampler sampler = new Sampler(config, 3);
    sampler.saw(0);
    assertEquals(1, sampler.next(new float[] {3, 2, -1}));
    sampler.saw(1);
    sampler.saw(2);
    assertEquals(0, sampler.next(new float[] {-1, -2, -3}));
  }

  @Test
  void equalSeedsDrawEqualTokens() {
    Sampler a = new Sampler(config(1, 0, 1), LOGITS.length);
    Sampler b = new Sampler(config(1, 0, 1), LOGITS.length);
    for (int i = 0; i < 100; i++) {
      assertEquals(a.next(LOGITS.clone()), b.next(LOGITS.clone()));
    }
  }

  @Test
  void refusesSettingsOutOfRange() {
    assertThrows(IllegalArgumentException.class, () -> config(-1, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> config(Double.NaN, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> config(1, -1, 1));
    assertThrows(IllegalArgumentException.class, () -> config(1, 0, 0));
    assertTrue(
        assertThrows(
                IllegalArgumentException.class,
                () -> new SamplingConfig(1, 0, 1, 1, 1, List.of(""), 0))
            .getMessage()
            .contains("stop"));
  }
}
