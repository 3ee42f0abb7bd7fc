package panamoe.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.InitialWeights;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.engine.schedule.ModelRunner;
import panamoe.nn.RotaryTable;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.TensorScope;

/** Rotary positions at the end of a long context, against float64: the table, and the logits. */
class LongContextTest {
  private static final int LENGTH = 32_768;
  private static final int HIDDEN = 32;
  private static final int HEAD = 16;
  private static final int WINDOW = 8;
  private static final NormConfig NORM = new NormConfig(NormConfig.Kind.RMS, 1e-6);

  private static List<Rotary> rotaries() {
    List<Double> slower = IntStream.range(0, HEAD / 2).mapToObj(i -> 1 + 0.7 * i).toList();
    return List.of(
        Rotary.whole(1e4, HEAD),
        of(1e6, new RotaryScaling.Yarn(8, 4096, 32, 1, true, RotaryScaling.Yarn.amplitude(8, 1))),
        of(1e4, new RotaryScaling.LongRope(slower, slower, 4096, 1.19)),
        of(5e5, new RotaryScaling.Llama3(8, 1, 4, 8192)));
  }

  private static Rotary of(double base, RotaryScaling scaling) {
    return new Rotary(base, HEAD, Rotary.Pairs.HALVES, scaling);
  }

  private static double[] frequencies(Rotary rotary) {
    return rotary.scalingOrNone().frequencies(rotary.size(), rotary.base(), LENGTH);
  }

  /** Angles in float32 would be wrong by up to 2e-3 here. */
  @ParameterizedTest
  @MethodSource("rotaries")
  void theTableIsRoundedOnce(Rotary rotary) {
    double[] frequencies = frequencies(rotary);
    double amplitude = rotary.scalingOrNone().amplitude();
    try (Backend backend = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(backend)) {
      RotaryTable table;
      ForkJoinPool closed;
      try (ForkJoinPool pool = new ForkJoinPool(2)) {
        table = RotaryTable.of(scope, LENGTH, rotary, pool);
        closed = pool;
      }
      assertTrue(closed.getStealCount() > 0, "other threads computed it");
      float[] cosines = table.cosine().toFloats();
      float[] sines = table.sine().toFloats();
      for (int position = 0; position < LENGTH; position++) {
        for (int pair = 0; pair < HEAD / 2; pair++) {
          double angle = position * frequencies[pair];
          int at = position * HEAD / 2 + pair;
          assertEquals(amplitude * Math.cos(angle), cosines[at], 1e-7 * amplitude);
          assertEquals(amplitude * Math.sin(angle), sines[at], 1e-7 * amplitude);
        }
      }
    }
  }

  /** A layer with a window and a base of its own, as in Gemma 3, then one that sees all tokens. */
  @ParameterizedTest
  @MethodSource("rotaries")
  void theLastTokenSeesThirtyTwoThousand(Rotary rotary) {
    Rotary local = Rotary.whole(1e4, HEAD);
    ModelConfig config = model(List.of(block(WINDOW, local), block(0, rotary)));
    int[] tokens = new Random(5).ints(LENGTH, 0, config.vocabulary()).toArray();
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      Map<String, double[]> weights = weights(model);
      model.pack(backend, DType.FLOAT32);
      float[] logits = ModelRunner.nextLogits(backend, model, tokens);
      double[] expected = new Exact(weights).logits(tokens, local, rotary);
      double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
      for (int i = 0; i < expected.length; i++) {
        assertEquals(expected[i], logits[i], 2e-5 * largest);
      }
    }
  }

  private static BlockConfig block(int window, Rotary rotary) {
    return new BlockConfig(
        NORM,
        new GroupedQueryConfig(
            new GroupedQueryConfig.Heads(1, 1, HEAD),
            GroupedQueryConfig.Biases.all(false),
            null,
            null,
            rotary,
            new Scores(Mask.CAUSAL, window, false, null)),
        NORM,
        new DenseConfig(HIDDEN, Activation.RELU, false));
  }

  private static ModelConfig model(List<BlockConfig> blocks) {
    return new ModelConfig(
        64,
        LENGTH,
        HIDDEN,
        new EmbeddingConfig(EmbeddingConfig.Positions.NONE),
        blocks,
        NORM,
        HeadConfig.TIED,
        InitialWeights.of(0.4, 1));
  }

  private static Map<String, double[]> weights(LanguageModel model) {
    Map<String, double[]> weights = new HashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      float[] values = parameter.value().toFloats();
      weights.put(
          parameter.name(),
          IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray());
    }
    return weights;
  }

  /** The model in float64. In the last layer only the last token attends. */
  private record Exact(Map<String, double[]> weights) {
    double[] logits(int[] tokens, Rotary local, Rotary global) {
      double[] table = weights.get("embedding.weight");
      double[][] x = new double[LENGTH][];
      for (int i = 0; i < LENGTH; i++) {
        x[i] = Arrays.copyOfRange(table, tokens[i] * HIDDEN, (tokens[i] + 1) * HIDDEN);
      }
      layer("layers.0.", x, 0, WINDOW, local);
      layer("layers.1.", x, LENGTH - 1, LENGTH, global);
      return product("embedding.weight", norm("final_norm.weight", x[LENGTH - 1]));
    }

    private void layer(String in, double[][] x, int first, int window, Rotary rotary) {
      double[][] keys = new double[LENGTH][];
      double[][] values = new double[LENGTH][];
      double[][] queries = new double[LENGTH][];
      double[] frequencies = frequencies(rotary);
      double amplitude = rotary.scalingOrNone().amplitude();
      for (int i = 0; i < LENGTH; i++) {
        double[] input = norm(in + "attention_norm.weight", x[i]);
        keys[i] = rotated(product(in + "attention.key.weight", input), i, frequencies, amplitude);
        values[i] = product(in + "attention.value.weight", input);
        if (i >= first) {
          queries[i] =
              rotated(product(in + "attention.query.weight", input), i, frequencies, amplitude);
        }
      }
      for (int i = first; i < LENGTH; i++) {
        double[] attended = attended(queries[i], keys, values, Math.max(0, i + 1 - window), i);
        add(x[i], product(in + "attention.output.weight", attended));
        double[] inner = product(in + "mlp.up.weight", norm(in + "mlp_norm.weight", x[i]));
        Arrays.setAll(inner, j -> Math.max(0, inner[j]));
        add(x[i], product(in + "mlp.down.weight", inner));
      }
    }

    private static double[] attended(
        double[] query, double[][] keys, double[][] values, int from, int to) {
      double[] scores = new double[to + 1 - from];
      Arrays.setAll(scores, j -> dot(query, 0, keys[from + j]) / Math.sqrt(HEAD));
      double peak = Arrays.stream(scores).max().orElseThrow();
      double[] sum = new double[HEAD];
      double all = 0;
      for (int j = 0; j < scores.length; j++) {
        double weight = Math.exp(scores[j] - peak);
        all += weight;
        for (int d = 0; d < HEAD; d++) {
          sum[d] += weight * values[from + j][d];
        }
      }
      for (int d = 0; d < HEAD; d++) {
        sum[d] /= all;
      }
      return sum;
    }

    private static double[] rotated(
        double[] x, int position, double[] frequencies, double amplitude) {
      double[] y = new double[HEAD];
      for (int i = 0; i < HEAD / 2; i++) {
        double cosine = amplitude * Math.cos(position * frequencies[i]);
        double sine = amplitude * Math.sin(position * frequencies[i]);
        y[i] = x[i] * cosine - x[HEAD / 2 + i] * sine;
        y[HEAD / 2 + i] = x[HEAD / 2 + i] * cosine + x[i] * sine;
      }
      return y;
    }

    private double[] norm(String name, double[] x) {
      double[] weight = weights.get(name);
      double scale = 1 / Math.sqrt(dot(x, 0, x) / HIDDEN + NORM.epsilon());
      double[] y = new double[HIDDEN];
      Arrays.setAll(y, i -> x[i] * scale * weight[i]);
      return y;
    }

    private double[] product(String name, double[] x) {
      double[] matrix = weights.get(name);
      double[] y = new double[matrix.length / x.length];
      Arrays.setAll(y, row -> dot(matrix, row * x.length, x));
      return y;
    }

    private static double dot(double[] a, int from, double[] b) {
      double sum = 0;
      for (int i = 0; i < b.length; i++) {
        sum += a[from + i] * b[i];
      }
      return sum;
    }

    private static void add(double[] x, double[] y) {
      Arrays.setAll(x, i -> x[i] + y[i]);
    }
  }
}
