package panamoe.lab.conformance.transformers;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.engine.sample.Sampler;
import panamoe.engine.sample.SamplerState;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.SamplingConfig.Penalties;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The logits processors of transformers against our sampler. Penalised logits are compared as
 * numbers. The sampler returns no filtered logits, so temperature, top-k and top-p are compared by
 * sampling frequencies.
 */
public final class SamplingCases {
  private static final int DRAWS = 50_000;

  /** On the backends that are slow: the reference and the emulation of CUDA. */
  private static final int FEW_DRAWS = 2_000;

  /**
   * Tolerance of a frequency in standard deviations. Samples are seeded, so the result is
   * deterministic.
   */
  private static final double DEVIATIONS = 5;

  private SamplingCases() {}

  public static void processors(Replay replay) {
    GoldenFile golden = replay.golden();
    double temperature = golden.hyper("temperature").asDouble();
    int topK = golden.hyper("top_k").asInt();
    double topP = golden.hyper("top_p").asDouble();
    comparePenalty(replay, golden.hyper("repetition_penalty").asDouble());
    compareDraws(replay, "out.temperature", SamplingConfig.of(temperature, 0, 1, 1));
    compareDraws(replay, "out.top_k", SamplingConfig.of(1, topK, 1, 2));
    compareDraws(replay, "out.top_p", SamplingConfig.of(1, 0, topP, 3));
    double minP = golden.hyper("min_p").asDouble();
    compareDraws(
        replay, "out.min_p", new SamplingConfig(1, 0, 1, minP, Penalties.NONE, Map.of(), 4));
    replay.note(
        "temperature, top-k, top-p, min-p by the frequencies of %s samples",
        draws(replay.backend()));
  }

  private static void comparePenalty(Replay replay, double penalty) {
    float[] logits = replay.golden().floats("logits");
    long[] ids = replay.golden().longs("input_ids");
    int rows = replay.golden().size("logits", 0);
    int vocabulary = logits.length / rows;
    try (TensorScope scope = TensorScope.confined(replay.backend());
        Sampler sampler = new Sampler(replay.backend())) {
      Tensor penalised = scope.allocate(DType.FLOAT32, rows, vocabulary).set(logits);
      sampler.take(penalised);
      for (int row = 0; row < rows; row++) {
        SamplerState state =
            new SamplerState(SamplingConfig.GREEDY.withPenalties(new Penalties(penalty, 0, 0)));
        for (int i = 0; i < ids.length / rows; i++) {
          state.read((int) ids[row * (ids.length / rows) + i]);
        }
        sampler.ask(row, state);
      }
      sampler.sample(); // gives the changed logits to the GPU
      replay.close("out.repetition_penalty", penalised.toFloats());
    }
  }

  private static void compareDraws(Replay replay, String name, SamplingConfig config) {
    float[] logits = replay.golden().floats("logits");
    float[] filtered = replay.golden().floats(name);
    int rows = replay.golden().size("logits", 0);
    int vocabulary = logits.length / rows;
    for (int row = 0; row < rows; row++) {
      float[] rowLogits = Arrays.copyOfRange(logits, row * vocabulary, (row + 1) * vocabulary);
      int draws = draws(replay.backend());
      int[] drawn = draw(replay.backend(), rowLogits, new SamplerState(config));
      double[] expected = probabilities(filtered, row * vocabulary, vocabulary);
      for (int token = 0; token < vocabulary; token++) {
        double mean = draws * expected[token];
        double deviation = Math.sqrt(mean * (1 - expected[token]));
        replay.require(
            expected[token] == 0
                ? drawn[token] == 0
                : Math.abs(drawn[token] - mean) <= DEVIATIONS * deviation + 1,
            "%s: token %s of row %s was sampled %s times, expected %s",
            name,
            token,
            row,
            drawn[token],
            mean);
      }
    }
  }

  private static int draws(Backend backend) {
    return List.of("reference", "simt").contains(backend.name()) ? FEW_DRAWS : DRAWS;
  }

  /** How often each token is sampled. */
  private static int[] draw(Backend backend, float[] logits, SamplerState state) {
    int[] drawn = new int[logits.length];
    int draws = draws(backend);
    try (TensorScope scope = TensorScope.confined(backend);
        Sampler sampler = new Sampler(backend)) {
      Tensor rows = scope.allocate(DType.FLOAT32, draws, logits.length);
      sampler.take(rows);
      for (int row = 0; row < draws; row++) {
        rows.rows(row, row + 1).set(logits);
        sampler.ask(row, state);
      }
      sampler.sample();
      for (int row = 0; row < draws; row++) {
        drawn[sampler.token(row)]++;
      }
    }
    return drawn;
  }

  /** The sampling probabilities of recorded logits, which are -inf if filtered. */
  private static double[] probabilities(float[] logits, int from, int count) {
    double maximum = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      maximum = Math.max(maximum, logits[from + i]);
    }
    double[] probabilities = new double[count];
    double sum = 0;
    for (int i = 0; i < count; i++) {
      probabilities[i] = Math.exp(logits[from + i] - maximum);
      sum += probabilities[i];
    }
    for (int i = 0; i < count; i++) {
      probabilities[i] /= sum;
    }
    return probabilities;
  }
}
