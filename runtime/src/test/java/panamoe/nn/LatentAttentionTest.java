package panamoe.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.AttentionConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

/** Latent attention against its formula; equal bits for any split of a sequence into steps. */
class LatentAttentionTest {
  private static final int HIDDEN = 24;
  private static final int LENGTH = 21;
  private static final int BLOCK = 4;
  private static final int BLOCKS = 8;
  private static final double EPSILON = 1e-6;

  /** 5 heads of 6 + 4, values of 3, latents of 8. */
  private static LatentAttentionConfig config(Integer queryRank, Rotary.Pairs pairs, Double scale) {
    return config(queryRank, 8, new Rotary(100, 4, pairs, null), scale);
  }

  private static LatentAttentionConfig config(
      Integer queryRank, int latent, Rotary rotary, Double scale) {
    return new LatentAttentionConfig(
        new LatentAttentionConfig.Heads(5, 6, 3),
        new LatentAttentionConfig.Ranks(queryRank, latent),
        new NormConfig(NormConfig.Kind.RMS, EPSILON),
        rotary,
        scale);
  }

  private static final LatentAttentionConfig PLAIN = config(7, Rotary.Pairs.ADJACENT, null);

  /** Rows as in DeepSeek-V2 to V3 and GLM-4.7: 512 + 64. */
  private static final LatentAttentionConfig RELEASED =
      config(7, 512, new Rotary(100, 64, Rotary.Pairs.ADJACENT, null), 0.01);

  /** A layer with weights, its tables and an input [S, M]. */
  private static final class Layer implements AutoCloseable {
    final ParameterStore store = new ParameterStore();
    final Sample sample;
    final Backend backend;
    final LatentAttentionConfig config;
    final LatentAttention attention;
    final AttentionTables tables;
    final Tensor x;

    Layer(Backend backend, LatentAttentionConfig config, DType dtype) {
      this.backend = backend;
      this.config = config;
      sample = new Sample(backend, 3);
      attention = new LatentAttention(Declarations.of(store, 0.4, "a"), 0, HIDDEN, config);
      store.materialize(backend, dtype, false, 5);
      tables = new AttentionTables(sample.scope(), LENGTH, List.of(config));
      x = sample.normal(dtype, LENGTH, HIDDEN);
    }

    Tensor whole(int batch) {
      Pass pass = Pass.inference(backend, sample.scope());
      Sequences sequences = Sequences.Whole.of(sample.scope(), LENGTH, LENGTH / batch);
      return attention.forward(pass, x, sequences, tables);
    }

    KeyValueCache cache(DType dtype) {
      return new KeyValueCache(sample.scope(), dtype, List.of(config), 1, BLOCKS, BLOCK, 0, 0);
    }

    /** Rows first to last of the sequence, whose blocks are in any order. */
    Tensor step(KeyValueCache cache, int first, int last) {
      Sequences running =
          new Sequences.Running(
              cache,
              sample.integers(new int[] {5, 0, 7, 2, 1, 6, -1, -1}).reshape(1, 8),
              sample.integers(new int[last - first]),
              sample.integers(IntStream.range(first, last).toArray()));
      Pass pass = Pass.inference(backend, sample.scope());
      return attention.forward(pass, x.rows(first, last), running, tables);
    }

    double[][] matrix(String name) {
      Parameter found =
          store.parameters().stream()
              .filter(each -> each.name().equals("a." + name + ".weight"))
              .findFirst()
              .orElseThrow();
      float[] values = found.master().toFloats();
      int width = (int) found.shape()[found.shape().length - 1];
      double[][] rows = new double[values.length / width][width];
      for (int i = 0; i < values.length; i++) {
        rows[i / width][i % width] = values[i];
      }
      return rows;
    }

    @Override
    public void close() {
      sample.close();
      store.close();
    }
  }

  /** Keys and values of every head are made before the products, as DeepSeek-V2 defines them. */
  @EveryBackend
  void equalsTheUnabsorbedFormula(Backend backend) {
    for (LatentAttentionConfig config :
        List.of(
            PLAIN,
            RELEASED,
            config(null, Rotary.Pairs.ADJACENT, 0.25),
            config(7, Rotary.Pairs.HALVES, 0.5))) {
      for (int batch : new int[] {1, 3}) {
        try (Layer layer = new Layer(backend, config, DType.FLOAT32)) {
          assertClose(formula(layer, LENGTH / batch), layer.whole(batch), 2e-5);
        }
      }
    }
  }

  private static double[] formula(Layer layer, int length) {
    LatentAttentionConfig config = layer.config;
    int heads = config.heads().count();
    int nope = config.heads().nope();
    int value = config.heads().value();
    int latent = config.ranks().keyValue();
    double[][] x = new double[LENGTH][HIDDEN];
    for (int i = 0; i < LENGTH * HIDDEN; i++) {
      x[i / HIDDEN][i % HIDDEN] = layer.x.getFloat(i);
    }
    double[][] keyUp = layer.matrix("key_up");
    double[][] valueUp = layer.matrix("value_up");
    double[][][] queries = new double[LENGTH][heads][];
    double[][][] keys = new double[LENGTH][heads][];
    double[][][] values = new double[LENGTH][heads][];
    for (int t = 0; t < LENGTH; t++) {
      double[] from =
          config.ranks().query() == null ? x[t] : normed(times(layer.matrix("query_down"), x[t]));
      double[] q = times(layer.matrix("query"), from);
      double[] down = times(layer.matrix("key_value_down"), x[t]);
      double[] c = normed(Arrays.copyOf(down, latent));
      double[] shared =
          rotated(Arrays.copyOfRange(down, latent, down.length), t % length, config.rotary());
      for (int h = 0; h < heads; h++) {
        double[] query =
            Arrays.copyOfRange(q, h * config.querySize(), (h + 1) * config.querySize());
        double[] turned =
            rotated(Arrays.copyOfRange(query, nope, query.length), t % length, config.rotary());
        queries[t][h] = joined(Arrays.copyOf(query, nope), turned);
        double[] key = new double[nope];
        for (int i = 0; i < nope; i++) {
          for (int j = 0; j < latent; j++) {
            key[i] += keyUp[h * latent + j][i] * c[j];
          }
        }
        keys[t][h] = joined(key, shared);
        values[t][h] = times(Arrays.copyOfRange(valueUp, h * value, (h + 1) * value), c);
      }
    }
    double scale = config.settings().scale();
    double[] out = new double[LENGTH * HIDDEN];
    for (int t = 0; t < LENGTH; t++) {
      double[] mixed = new double[heads * value];
      for (int h = 0; h < heads; h++) {
        double total = 0;
        for (int j = t / length * length; j <= t; j++) {
          double weight = Math.exp(scale * dot(queries[t][h], keys[j][h]));
          total += weight;
          for (int i = 0; i < value; i++) {
            mixed[h * value + i] += weight * values[j][h][i];
          }
        }
        for (int i = 0; i < value; i++) {
          mixed[h * value + i] /= total;
        }
      }
      System.arraycopy(times(layer.matrix("output"), mixed), 0, out, t * HIDDEN, HIDDEN);
    }
    return out;
  }

  private static double[] times(double[][] matrix, double[] x) {
    return Arrays.stream(matrix).mapToDouble(row -> dot(row, x)).toArray();
  }

  private static double dot(double[] a, double[] b) {
    return IntStream.range(0, a.length).mapToDouble(i -> a[i] * b[i]).sum();
  }

  private static double[] normed(double[] x) {
    double factor = 1 / Math.sqrt(dot(x, x) / x.length + EPSILON);
    return Arrays.stream(x).map(value -> value * factor).toArray();
  }

  private static double[] rotated(double[] x, int position, Rotary rotary) {
    double[] y = x.clone();
    for (int pair = 0; pair < x.length / 2; pair++) {
      double angle = position * Math.pow(rotary.base(), -2.0 * pair / x.length);
      boolean adjacent = rotary.pairs() == Rotary.Pairs.ADJACENT;
      int a = adjacent ? 2 * pair : pair;
      int b = adjacent ? 2 * pair + 1 : pair + x.length / 2;
      y[a] = x[a] * Math.cos(angle) - x[b] * Math.sin(angle);
      y[b] = x[b] * Math.cos(angle) + x[a] * Math.sin(angle);
    }
    return y;
  }

  private static double[] joined(double[] a, double[] b) {
    double[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  /** A prompt at once, in pieces or token by token has the bits of a whole sequence. */
  @EveryBackend
  void bitsDoNotDependOnTheSteps(Backend backend) {
    for (LatentAttentionConfig config : List.of(PLAIN, RELEASED)) {
      for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
        try (Layer layer = new Layer(backend, config, dtype)) {
          Tensor expected = layer.whole(1);
          for (int[] cuts :
              new int[][] {{0, 21}, {0, 1, 2, 3, 4, 5, 6, 21}, {0, 9, 10, 16, 20, 21}}) {
            KeyValueCache cache = layer.cache(dtype);
            for (int i = 1; i < cuts.length; i++) {
              Tensor part = layer.step(cache, cuts[i - 1], cuts[i]);
              assertSameBits(expected.rows(cuts[i - 1], cuts[i]), part);
            }
          }
        }
      }
    }
  }

  /** An int8 cache rounds each row once. */
  @EveryBackend
  void bitsOfAnInt8CacheDoNotDependOnTheSteps(Backend backend) {
    try (Layer layer = new Layer(backend, PLAIN, DType.FLOAT32)) {
      Tensor expected = layer.step(layer.cache(DType.INT8), 0, LENGTH);
      KeyValueCache cache = layer.cache(DType.INT8);
      assertSameBits(expected.rows(0, 13), layer.step(cache, 0, 13));
      for (int i = 13; i < LENGTH; i++) {
        assertSameBits(expected.rows(i, i + 1), layer.step(cache, i, i + 1));
      }
      assertClose(layer.whole(1), expected, 0.03);
    }
  }

  @EveryNativeBackend
  void bitsDoNotDependOnThreads(Backend backend) {
    try (Layer layer = new Layer(backend, PLAIN, DType.FLOAT32)) {
      for (int threads : new int[] {1, 2, 7}) {
        try (Backend other = Backends.open(backend.name(), threads);
            Layer same = new Layer(other, PLAIN, DType.FLOAT32)) {
          assertSameBits(layer.whole(1), same.whole(1));
          KeyValueCache cache = same.cache(DType.FLOAT32);
          same.step(cache, 0, 20);
          assertSameBits(layer.whole(1).rows(20, 21), same.step(cache, 20, 21));
        }
      }
    }
  }

  /** A token's row is key and value for all heads, and is cached once. */
  @Test
  void theCacheKeepsARowOnce() {
    assertEquals((8 + 4) * 2, PLAIN.cacheRow(1).bytes(DType.BFLOAT16));
    assertEquals(8 + 4 + 4, PLAIN.cacheRow(5).bytes(DType.INT8));
    try (Backend backend = new ReferenceBackend();
        Layer layer = new Layer(backend, PLAIN, DType.FLOAT32)) {
      Tensor none = layer.sample.integers(new int[0]);
      var places = layer.cache(DType.INT8).places(0, none.reshape(0, 0), none, none);
      assertSame(places.keys(), places.values());
      assertSame(places.keyScales(), places.valueScales());
    }
  }

  @Test
  void saysWhatIsWrong() {
    assertRefused("5 heads do not divide among 2 tensor ranks", () -> PLAIN.requireShared(2));
    assertRefused("keyValue is 0, expected 1 to", () -> new LatentAttentionConfig.Ranks(null, 0));
    assertRefused("query is 0, expected 1 to", () -> new LatentAttentionConfig.Ranks(0, 8));
    assertRefused("nope is 0, expected 1 to", () -> new LatentAttentionConfig.Heads(1, 0, 1));
    assertRefused(
        "rotary is missing",
        () -> new LatentAttentionConfig(PLAIN.heads(), PLAIN.ranks(), PLAIN.norm(), null, null));
    assertRefused("scale is 0.0", () -> config(7, Rotary.Pairs.HALVES, 0.0));
    AttentionConfig.Scores scores = PLAIN.scores();
    assertEquals(AttentionConfig.Scores.CAUSAL, scores);
    assertEquals((float) (1 / Math.sqrt(10)), PLAIN.settings().scale());
  }
}
