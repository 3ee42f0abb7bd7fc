package panamoe.backend;

import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

/** Attention over a cache with a bias by relative position. */
class AttentionBiasedContractTest {
  private static final AttentionSettings PLAIN = AttentionSettings.causal(1);

  /**
   * Queries of 0, so that weights are the softmax of the biases: those of logarithms are simple
   * fractions.
   */
  @EveryBackend
  void weightsAreThoseOfTheBias(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      float two = (float) Math.log(2);
      float four = (float) Math.log(4);
      Tensor bias = sample.floats(new float[] {four, 0, two}, 3, 1); // behind, at, before the key
      CachePlaces places =
          new CachePlaces(
              sample.floats(new float[4], 1, 4, 1, 1),
              sample.floats(new float[] {1, 10, 100, 1000}, 1, 4, 1, 1),
              sample.integers(new int[1]).reshape(1, 1),
              sample.integers(new int[3]),
              sample.integers(new int[] {2, 3, 1}));
      RelativeBias relative = new RelativeBias(bias, sample.integers(new int[] {2, 1, 7}));
      Tensor out = sample.unset(3, 1, 1);
      Tensor q = sample.floats(new float[3], 3, 1, 1);
      backend.attentionBiased(PLAIN, relative, q, places, out);
      assertClose(
          new double[] {
            (4 * 1 + 4 * 10 + 100) / 9.0, (4 * 1 + 10 + 2 * 100 + 2 * 1000) / 9.0, (1 + 10) / 2.0
          },
          out,
          1e-4);
    }
  }

  @EveryBackend
  void agreesWithTheReference(Backend backend) {
    for (boolean int8 : new boolean[] {false, true}) {
      assertAgrees(
          backend,
          30,
          int8 ? 1e-4 : 1e-5,
          (on, sample) -> {
            int block = sample.between(1, 40);
            int width = sample.between(1, 3);
            int groups = sample.between(1, 2);
            int heads = groups * sample.between(1, 3);
            int size = sample.between(1, 40);
            int rows = sample.between(1, 12);
            Tensor k = sample.normal(2L * block * width, groups, size);
            Tensor keys =
                sample.unset(int8 ? DType.INT8 : DType.FLOAT32, 2L * width, block, groups, size);
            Tensor values = sample.unset(keys.dtype(), keys.shape());
            Tensor keyScales = int8 ? sample.unset(2L * width, block, groups) : null;
            Tensor valueScales = int8 ? sample.unset(2L * width, block, groups) : null;
            Tensor table = sample.integers(0, 1, 2, width);
            Tensor all = sample.integers(new int[2 * block * width]);
            Tensor slots = sample.integers(new int[2 * block * width]);
            for (int i = 0; i < 2 * width; i++) {
              table.setInt(i, 2 * width - 1 - i);
            }
            for (int i = 0; i < 2 * block * width; i++) {
              slots.setInt(i, i / (block * width));
              all.setInt(i, i % (block * width));
            }
            CachePlaces places =
                new CachePlaces(keys, values, keyScales, valueScales, table, slots, all);
            on.cacheAppend(k, sample.normal(k.shape()), places);
            int reach = sample.between(0, 20);
            Tensor out = sample.unset(rows, heads, size);
            on.attentionBiased(
                AttentionSettings.causal(sample.between(0, 1) * 7, 0.3f),
                new RelativeBias(
                    sample.normal(2L * reach + 1, heads), sample.integers(0, block * width, rows)),
                sample.normal(rows, heads, size),
                new CachePlaces(
                    keys,
                    values,
                    keyScales,
                    valueScales,
                    table,
                    sample.integers(0, 2, rows),
                    sample.integers(0, block * width, rows)),
                out);
            return List.of(out);
          });
    }
  }

  @EveryBackend
  void refusesWhatDoesNotFit(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor q = sample.normal(1, 2, 3);
      Tensor out = sample.unset(1, 2, 3);
      Tensor zero = sample.integers(new int[1]);
      CachePlaces places =
          new CachePlaces(
              sample.normal(1, 4, 1, 3), sample.normal(1, 4, 1, 3), zero.reshape(1, 1), zero, zero);
      RelativeBias even = new RelativeBias(sample.normal(4, 2), zero);
      assertRefused(
          "bias has 4 rows, expected 2R + 1",
          () -> backend.attentionBiased(PLAIN, even, q, places, out));
      RelativeBias narrow = new RelativeBias(sample.normal(3, 1), zero);
      assertRefused("bias has shape", () -> backend.attentionBiased(PLAIN, narrow, q, places, out));
      RelativeBias late = new RelativeBias(sample.normal(3, 2), sample.integers(new int[2]));
      assertRefused(
          "bias.position has shape", () -> backend.attentionBiased(PLAIN, late, q, places, out));
    }
  }
}
