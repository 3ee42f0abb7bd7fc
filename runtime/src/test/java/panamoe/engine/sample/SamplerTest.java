package panamoe.engine.sample;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig.Penalties;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;

/** Sampled tokens follow the distribution that the settings describe. */
class SamplerTest {
  private static final float[] LOGITS = {0f, 2f, 1f, -1f, 1.5f};
  private static final int DRAWS = 10_000;

  private static double[] frequencies(SamplingConfig config) {
    float[][] rows = new float[DRAWS][];
    Arrays.fill(rows, LOGITS);
    SamplerState state = new SamplerState(config);
    double[] counts = new double[LOGITS.length];
    try (Backend backend = new ReferenceBackend()) {
      for (int token : draw(backend, rows, _ -> state)) {
        counts[token] += 1.0 / DRAWS;
      }
    }
    return counts;
  }

  /** Samples a token of each row. */
  private static int[] draw(Backend backend, float[][] rows, IntFunction<SamplerState> states) {
    int vocabulary = rows[0].length;
    try (TensorScope scope = TensorScope.confined(backend);
        Sampler sampler = new Sampler(backend)) {
      Tensor logits = scope.allocate(DType.FLOAT32, rows.length, vocabulary);
      sampler.take(logits);
      for (int row = 0; row < rows.length; row++) {
        logits.rows(row, row + 1).set(rows[row]);
        sampler.ask(row, states.apply(row));
      }
      sampler.sample();
      return IntStream.range(0, rows.length).map(sampler::token).toArray();
    }
  }

  private static SamplingConfig config(double temperature, int topK, double topP) {
    return SamplingConfig.of(temperature, topK, topP, 4);
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
    assertEquals(1, next(new SamplerState(SamplingConfig.GREEDY), 0, 3, 3, 1));
  }

  @Test
  void temperatureScalesTheDistribution() {
    boolean[] all = {true, true, true, true, true};
    assertDistribution(1, all, frequencies(config(1, 0, 1)));
    assertDistribution(0.5, all, frequencies(config(0.5, 0, 1)));
    assertDistribution(3, all, frequencies(config(3, 0, 1)));
  }

  /** Even if dividing by it gives infinity. */
  @Test
  void theLeastTemperatureTakesTheBest() {
    for (double temperature : new double[] {Double.MIN_VALUE, 1e-310, Double.MIN_NORMAL, 1e-30}) {
      SamplerState state = new SamplerState(config(temperature, 0, 1));
      assertEquals(1, next(state, LOGITS), () -> "temperature " + temperature);
    }
  }

  /** The penalty of a prompt's token makes its logit the greatest float. */
  @ParameterizedTest
  @ValueSource(doubles = {1e-37, 1e-50, Double.MIN_VALUE})
  void theLeastPenaltyTakesWhatWasThere(double penalty) {
    for (double temperature : new double[] {0, 1, 100}) {
      SamplingConfig config = config(temperature, 0, 1).withPenalties(new Penalties(penalty, 0, 0));
      SamplerState state = new SamplerState(config);
      state.read(0);
      state.read(2);
      assertEquals(2, next(state, -Float.MAX_VALUE, 90, 30));
    }
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
    SamplerState state =
        new SamplerState(SamplingConfig.GREEDY.withPenalties(new Penalties(2, 0, 0)));
    state.read(0);
    assertEquals(1, next(state, 3, 2, -1));
    state.read(1);
    state.wrote(2);
    assertEquals(0, next(state, -1, -2, -3));
  }

  /** Tokens of the prompt do not count. */
  @Test
  void presenceAndFrequencyArePenalised() {
    SamplerState state =
        new SamplerState(SamplingConfig.GREEDY.withPenalties(new Penalties(1, 1, 0.5)));
    state.read(0);
    assertEquals(0, next(state, 3, 2.9f, 0));
    state.wrote(0);
    assertEquals(0, next(state, 3, 1.4f, 0));
    assertEquals(1, next(state, 3, 1.6f, 0));
    state.wrote(0);
    assertEquals(0, next(state, 3, 0.9f, 0));
    assertEquals(1, next(state, 3, 1.1f, 0));
  }

  @Test
  void minPLeavesOutWhatIsFarBelowTheBest() {
    // Probabilities relative to token 1: 0.135, 0.368, 0.050, 0.607.
    SamplingConfig config = new SamplingConfig(1, 0, 1, 0.3, Penalties.NONE, Map.of(), 4);
    assertDistribution(1, new boolean[] {false, true, true, false, true}, frequencies(config));
    SamplingConfig best = new SamplingConfig(1, 0, 1, 1, Penalties.NONE, Map.of(), 4);
    assertDistribution(1, new boolean[] {false, true, false, false, false}, frequencies(best));
  }

  @Test
  void biasesAreAdded() {
    SamplingConfig config = new SamplingConfig(0, 0, 1, 0, Penalties.NONE, Map.of(2, 5f), 4);
    assertEquals(2, next(new SamplerState(config), 3, 2, -1));
    assertEquals(0, next(new SamplerState(config), 5, 2, -1));
  }

  private static int next(SamplerState state, float... logits) {
    try (Backend backend = new ReferenceBackend()) {
      return draw(backend, new float[][] {logits}, _ -> state)[0];
    }
  }

  @Test
  void equalSeedsDrawEqualTokens() {
    SamplerState a = new SamplerState(config(1, 0, 1));
    SamplerState b = new SamplerState(config(1, 0, 1));
    for (int i = 0; i < 100; i++) {
      assertEquals(next(a, LOGITS), next(b, LOGITS));
    }
  }

  @Test
  void refusesSettingsOutOfRange() {
    assertThrows(IllegalArgumentException.class, () -> config(-1, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> config(Double.NaN, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> config(1, -1, 1));
    assertThrows(IllegalArgumentException.class, () -> config(1, 0, 0));
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> StopConfig.of(1, List.of("")))
            .getMessage()
            .contains("stop"));
  }

  /** Biases and penalties keep NaN and infinity. */
  @Test
  void drawsNothingFromLogitsThatAreNotFinite() {
    SamplingConfig config =
        new SamplingConfig(1, 0, 1, 0, new Penalties(2, 1, 1), Map.of(0, 1f), 4);
    for (float wrong : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      SamplerState state = new SamplerState(config);
      state.wrote(1);
      assertEquals(-1, next(state, wrong, 1, 2));
      assertEquals(-1, next(state, 1, wrong, 2));
      assertEquals(-1, next(state, 1, 2, wrong));
    }
  }

  /** The reference sorts all tokens and adds their weights in order. */
  @EveryBackend
  void drawsWhatASortedListGives(Backend backend) {
    Random random = new Random(1);
    for (int vocabulary : new int[] {1, 5, 300}) {
      float[][] rows = new float[100][vocabulary];
      SamplingConfig[] configs = new SamplingConfig[rows.length];
      for (int row = 0; row < rows.length; row++) {
        float spread = row % 3 == 0 ? 0 : (float) Math.exp(2 * random.nextGaussian());
        for (int token = 0; token < vocabulary; token++) {
          float logit = spread == 0 ? random.nextInt(4) : spread * (float) random.nextGaussian();
          rows[row][token] = random.nextInt(20) == 0 ? Sampler.NEVER : logit;
        }
        rows[row][random.nextInt(vocabulary)] = 1;
        configs[row] =
            new SamplingConfig(
                Math.exp(random.nextGaussian()),
                random.nextBoolean() ? 0 : 1 + random.nextInt(vocabulary + 2),
                random.nextBoolean() ? 1 : 1 - random.nextDouble(),
                random.nextBoolean() ? 0 : random.nextDouble() / 2,
                Penalties.NONE,
                Map.of(),
                row);
      }
      int[] tokens = draw(backend, rows, row -> new SamplerState(configs[row]));
      for (int row = 0; row < rows.length; row++) {
        double draw = new SplittableRandom(row).nextDouble();
        assertEquals(drawn(rows[row], configs[row], draw), tokens[row], configs[row]::toString);
      }
    }
  }

  private static int drawn(float[] logits, SamplingConfig config, double draw) {
    List<Integer> order =
        IntStream.range(0, logits.length)
            .boxed()
            .filter(token -> logits[token] != Sampler.NEVER)
            .sorted(Comparator.comparingDouble(token -> -logits[token]))
            .toList();
    double best = logits[order.getFirst()];
    double[] cumulative = new double[order.size()];
    double sum = 0;
    int kept = 0;
    for (int token : order) {
      double weight = Math.exp((logits[token] - best) / config.temperature());
      if (weight < config.minP() || config.topK() > 0 && kept == config.topK()) {
        break;
      }
      sum += weight;
      cumulative[kept++] = sum;
    }
    while (kept > 1 && cumulative[kept - 2] >= config.topP() * sum) {
      kept--;
    }
    int index = 0;
    while (index < kept - 1 && cumulative[index] <= draw * cumulative[kept - 1]) {
      index++;
    }
    return order.get(index);
  }
}
