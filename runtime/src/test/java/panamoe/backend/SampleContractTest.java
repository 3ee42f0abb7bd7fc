package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertThreadInvariant;

import java.util.List;
import panamoe.backend.SampleKernels.Sampling;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class SampleContractTest {
  private static final int ROWS = 40;

  /** Probabilities of tokens 1, 3, 0, 2: 0.4, 0.3, 0.2, 0.1. */
  @EveryBackend
  void drawsFromASmallRow(Backend backend) {
    float[] row = {(float) Math.log(2), (float) Math.log(4), 0, (float) Math.log(3)};
    assertArrayEquals(
        new int[] {1, 1, 3, 3, 0, 0, 2, 2},
        sampled(backend, row, 1, 0, 0, 1, 0, 0.39, 0.41, 0.69, 0.71, 0.89, 0.91, 0.999));
    assertArrayEquals(new int[] {1, 1}, sampled(backend, row, 0, 0, 0, 1, 0, 0.999));
    assertArrayEquals(new int[] {1, 3, 3}, sampled(backend, row, 1, 0, 2, 1, 0.56, 0.58, 0.999));
    assertArrayEquals(new int[] {1, 3, 3}, sampled(backend, row, 1, 0, 0, 0.6f, 0.56, 0.58, 0.999));
    assertArrayEquals(new int[] {1, 3, 3}, sampled(backend, row, 1, 0.7f, 0, 1, 0.56, 0.58, 0.999));
    // Of the two best, the best has more than half.
    assertArrayEquals(new int[] {1, 1}, sampled(backend, row, 1, 0, 2, 0.5f, 0, 0.999));
    assertArrayEquals(new int[] {-1, -1}, sampled(backend, row, 1, 0, 0, 1, -0.1, 1));
    assertArrayEquals(new int[] {-1}, sampled(backend, row, Float.NaN, 0, 0, 1, 0));
  }

  private static int[] sampled(
      Backend backend,
      float[] row,
      float temperature,
      float minP,
      int topK,
      float topP,
      double... uniform) {
    int rows = uniform.length;
    try (Sample sample = new Sample(backend, 1)) {
      Tensor logits = sample.unset(rows, row.length);
      Sampling sampling = sampling(sample, rows);
      for (int i = 0; i < rows; i++) {
        logits.rows(i, i + 1).set(row);
        sampling.temperature().setFloat(i, temperature);
        sampling.minP().setFloat(i, minP);
        sampling.topK().setInt(i, topK);
        sampling.topP().setFloat(i, topP);
        sampling.uniform().setDouble(i, uniform[i]);
      }
      backend.sample(sampling, logits);
      backend.synchronize();
      return sampling.tokens().toInts();
    }
  }

  private static Sampling sampling(Sample sample, int rows) {
    return new Sampling(
        sample.unset(rows),
        sample.unset(rows),
        sample.integers(0, 1, rows),
        sample.unset(rows),
        sample.scope().allocate(DType.FLOAT64, rows),
        sample.integers(-9, -8, rows));
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (int classes : new int[] {1, 7, 64, 515}) {
      assertAgrees(backend, classes, 0, (on, sample) -> samples(on, sample, classes));
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeAToken(Backend backend) {
    assertThreadInvariant(backend, 4, (on, sample) -> samples(on, sample, 700));
  }

  private static List<Tensor> samples(Backend on, Sample sample, int classes) {
    Tensor logits = sample.normal(ROWS, classes);
    Sampling sampling = sampling(sample, ROWS);
    for (int row = 0; row < ROWS; row++) {
      sampling.temperature().setFloat(row, (float) (row % 4 * sample.uniform()));
      sampling.minP().setFloat(row, (float) (row % 3 * sample.uniform() / 9));
      sampling.topK().setInt(row, row % 5 * sample.between(0, classes));
      sampling.topP().setFloat(row, row % 2 == 0 ? 1 : (float) sample.uniform());
      sampling.uniform().setDouble(row, sample.uniform());
    }
    on.sample(sampling, logits);
    on.synchronize();
    return List.of(sampling.tokens());
  }

  @EveryBackend
  void refusesWrongShapes(Backend backend) {
    try (Sample sample = new Sample(backend, 6)) {
      assertRefused(
          "temperature has shape [3], expected [2]",
          () -> backend.sample(sampling(sample, 3), sample.normal(2, 4)));
      assertRefused(
          "there are 0 classes", () -> backend.sample(sampling(sample, 2), sample.normal(2, 0)));
    }
  }
}
