package panamoe.backend;

import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.util.List;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class AttentionContractTest {
  private static final double TOLERANCE = 2e-5;
  private static final List<DType> DTYPES = List.of(DType.FLOAT32, DType.BFLOAT16);

  /**
   * The definition, written out: {@code sum_j exp(score_j) v_j / sum_j exp(score_j)} over the
   * visible j.
   */
  @EveryBackend
  void equalsItsDefinition(Backend backend) {
    int length = 9;
    int heads = 4;
    int keyHeads = 2;
    int size = 3;
    for (int window : new int[] {0, 1, 4}) {
      try (Sample sample = new Sample(backend, 1)) {
        Tensor q = sample.normal(2, length, heads, size);
        Tensor k = sample.normal(2, length, keyHeads, size);
        Tensor v = sample.normal(2, length, keyHeads, size);
        Tensor out = sample.unset(2, length, heads, size);
        Tensor logsumexp = sample.unset(2, heads, length);
        backend.attentionForward(q, k, v, 0.7f, window, out, logsumexp);
        double[] expected = new double[2 * length * heads * size];
        double[] expectedSums = new double[2 * heads * length];
        for (int b = 0; b < 2; b++) {
          for (int i = 0; i < length; i++) {
            for (int h = 0; h < heads; h++) {
              int query = ((b * length + i) * heads + h) * size;
              double total = 0;
              for (int j = window == 0 ? 0 : Math.max(0, i - window + 1); j <= i; j++) {
                int key = ((b * length + j) * keyHeads + h / 2) * size;
                double score = 0;
                for (int d = 0; d < size; d++) {
                  score += 0.7 * q.getFloat(query + d) * k.getFloat(key + d);
                }
                total += Math.exp(score);
                for (int d = 0; d < size; d++) {
                  expected[query + d] += Math.exp(score) * v.getFloat(key + d);
                }
              }
              for (int d = 0; d < size; d++) {
                expected[query + d] /= total;
              }
              expectedSums[(b * heads + h) * length + i] = Math.log(total);
            }
          }
        }
        assertClose(expected, out, TOLERANCE);
        assertClose(expectedSums, logsumexp, TOLERANCE);
      }
    }
  }

  @EveryBackend
  void gradientsMatchFiniteDifferences(Backend backend) {
    for (int window : new int[] {0, 2}) {
      try (Sample sample = new Sample(backend, 2)) {
        Tensor q = sample.normal(1, 4, 2, 3);
        Tensor k = sample.normal(1, 4, 1, 3);
        Tensor v = sample.normal(1, 4, 1, 3);
        Tensor dout = sample.normal(1, 4, 2, 3);
        Tensor out = sample.unset(1, 4, 2, 3);
        Tensor logsumexp = sample.unset(1, 2, 4);
        Tensor dq = sample.unset(1, 4, 2, 3);
        Tensor dk = sample.unset(1, 4, 1, 3);
        Tensor dv = sample.unset(1, 4, 1, 3);
        backend.attentionForward(q, k, v, 0.6f, window, out, logsumexp);
        backend.attentionBackward(q, k, v, out, logsumexp, dout, 0.6f, window, dq, dk, dv);
        Tensor probe = sample.unset(1, 4, 2, 3);
        for (Tensor[] pair : new Tensor[][] {{q, dq}, {k, dk}, {v, dv}}) {
          assertGradient(
              pair[0],
              pair[1],
              5e-4,
              () -> {
                backend.attentionForward(q, k, v, 0.6f, window, probe, null);
                return dot(probe, dout);
              });
        }
      }
    }
  }

  /** A turn and its inverse give x back; scores depend on the distance of positions alone. */
  @EveryBackend
  void rotaryTurnsPairs(Backend backend) {
    for (boolean interleaved : new boolean[] {false, true}) {
      try (Sample sample = new Sample(backend, 3)) {
        Tensor cosine = sample.unset(8, 1);
        Tensor sine = sample.unset(8, 1);
        for (int p = 0; p < 8; p++) {
          cosine.setFloat(p, (float) Math.cos(p * Math.PI / 6));
          sine.setFloat(p, (float) Math.sin(p * Math.PI / 6));
        }
        Tensor x = sample.floats(new float[] {2, 0, 7, 2, 0, 7}, 2, 1, 3);
        Tensor y = sample.unset(2, 1, 3);
        Tensor positions = sample.integers(new int[] {1, 3});
        backend.rotary(x, positions, cosine, sine, interleaved, 1, y);
        assertClose(new double[] {Math.sqrt(3), 1, 7, 0, 2, 7}, y, 1e-6);
        backend.rotary(y, positions, cosine, sine, interleaved, -1, y);
        assertClose(x, y, 1e-6);
      }
    }
  }

  @EveryBackend
  void rotaryPairsHalvesOrNeighbours(Backend backend) {
    try (Sample sample = new Sample(backend, 4)) {
      Tensor zero = sample.floats(new float[] {0, 0}, 1, 2);
      Tensor one = sample.floats(new float[] {1, 1}, 1, 2);
      Tensor x = sample.floats(new float[] {1, 2, 3, 4, 5}, 1, 1, 5);
      Tensor y = sample.unset(1, 1, 5);
      Tensor position = sample.integers(new int[] {0});
      backend.rotary(x, position, zero, one, false, 1, y);
      assertClose(new double[] {-3, -4, 1, 2, 5}, y, 1e-6);
      backend.rotary(x, position, zero, one, true, 1, y);
      assertClose(new double[] {-2, 1, -4, 3, 5}, y, 1e-6);
    }
  }

  /**
   * Tokens appended to a cache in any slot, then decoded in any order, see what they see in their
   * sequence.
   */
  @EveryBackend
  void decodingFromTheCacheEqualsTheWholeSequence(Backend backend) {
    for (int window : new int[] {0, 3}) {
      try (Sample sample = new Sample(backend, 5)) {
        Tensor q = sample.normal(2, 7, 4, 5);
        Tensor k = sample.normal(2, 7, 2, 5);
        Tensor v = sample.normal(2, 7, 2, 5);
        Tensor whole = sample.unset(2, 7, 4, 5);
        backend.attentionForward(q, k, v, 0.4f, window, whole, null);
        Tensor keys = sample.unset(3, 8, 2, 5);
        Tensor values = sample.unset(3, 8, 2, 5);
        Tensor slot = sample.unset(DType.INT32, 14);
        Tensor position = sample.unset(DType.INT32, 14);
        for (int t = 0; t < 14; t++) {
          slot.setInt(t, t < 7 ? 2 : 0);
          position.setInt(t, t % 7);
        }
        backend.cacheAppend(k.reshape(14, 2, 5), v.reshape(14, 2, 5), slot, position, keys, values);
        Tensor out = sample.unset(14, 4, 5);
        backend.attentionDecode(
            q.reshape(14, 4, 5), keys, values, slot, position, 0.4f, window, out);
        assertClose(whole.reshape(14, 4, 5), out, TOLERANCE);
        Tensor alone = sample.unset(1, 4, 5);
        for (int t = 0; t < 14; t++) {
          backend.attentionDecode(
              q.reshape(14, 4, 5).rows(t, t + 1),
              keys,
              values,
              slot.rows(t, t + 1),
              position.rows(t, t + 1),
              0.4f,
              window,
              alone);
          assertSameBits(out.rows(t, t + 1), alone);
        }
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : DTYPES) {
      for (int seed = 0; seed < 8; seed++) {
        assertAgrees(backend, seed, TOLERANCE, (on, sample) -> forward(on, sample, dtype, 70));
        assertAgrees(backend, seed, TOLERANCE, (on, sample) -> rotary(on, sample, dtype));
      }
    }
  }

  /**
   * The backward reads {@code out}: that of the reference, since a backend's own differs in
   * roundings to bfloat16. Tensor cores take weights and their gradients rounded to bfloat16 as
   * well, and are off by two units in the last place; the CPU computes in float32 and is off by the
   * rounding of its results.
   */
  @EveryNativeBackend
  void backwardAgreesWithTheReference(Backend backend) {
    double half = backend.name().equals("cpu") ? 0x1p-7 : 0x1p-6;
    for (int seed = 0; seed < 8; seed++) {
      assertAgrees(backend, seed, 5e-5, (on, sample) -> backward(on, sample, DType.FLOAT32, 70));
      assertAgrees(backend, seed, half, (on, sample) -> backward(on, sample, DType.BFLOAT16, 70));
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    for (DType dtype : DTYPES) {
      assertThreadInvariant(backend, 6, (on, sample) -> forward(on, sample, dtype, 150));
      assertThreadInvariant(backend, 7, (on, sample) -> backward(on, sample, dtype, 150));
    }
  }

  @EveryBackend
  void aSequenceDoesNotDependOnTheSequencesBesideIt(Backend backend) {
    try (Sample sample = new Sample(backend, 8)) {
      Tensor q = sample.normal(5, 37, 4, 16);
      Tensor k = sample.normal(5, 37, 2, 16);
      Tensor v = sample.normal(5, 37, 2, 16);
      Tensor all = sample.unset(5, 37, 4, 16);
      Tensor alone = sample.unset(1, 37, 4, 16);
      backend.attentionForward(q, k, v, 0.25f, 0, all, null);
      for (int b = 0; b < 5; b++) {
        backend.attentionForward(
            q.rows(b, b + 1), k.rows(b, b + 1), v.rows(b, b + 1), 0.25f, 0, alone, null);
        assertSameBits(all.rows(b, b + 1), alone);
      }
    }
  }

  @EveryBackend
  void refusesWhatDoesNotFit(Backend backend) {
    try (Sample sample = new Sample(backend, 9)) {
      Tensor q = sample.normal(1, 3, 4, 2);
      Tensor k = sample.normal(1, 3, 3, 2);
      Tensor out = sample.unset(1, 3, 4, 2);
      assertRefused("heads", () -> backend.attentionForward(q, k, k, 1, 0, out, null));
      assertRefused("window is -1", () -> backend.attentionForward(q, q, q, 1, -1, out, null));
      Tensor keys = sample.normal(2, 5, 4, 2);
      Tensor token = sample.normal(1, 4, 2);
      Tensor zero = sample.integers(new int[] {0});
      assertRefused(
          "position[0] is 5, expected 0 to 4",
          () ->
              backend.attentionDecode(
                  token,
                  keys,
                  keys,
                  zero,
                  sample.integers(new int[] {5}),
                  1,
                  0,
                  sample.unset(1, 4, 2)));
      assertRefused(
          "slot[0] is 2, expected 0 to 1",
          () ->
              backend.cacheAppend(
                  token,
                  token,
                  sample.integers(new int[] {2}),
                  zero,
                  keys,
                  sample.normal(2, 5, 4, 2)));
      Tensor table = sample.normal(4, 1);
      assertRefused(
          "positions[0] is 4, expected 0 to 3",
          () ->
              backend.rotary(
                  token,
                  sample.integers(new int[] {4}),
                  table,
                  table,
                  false,
                  1,
                  sample.unset(1, 4, 2)));
      assertRefused(
          "direction is 0", () -> backend.rotary(token, zero, table, table, false, 0, token));
    }
  }

  private static List<Tensor> forward(Backend on, Sample sample, DType dtype, int longest) {
    Inputs inputs = Inputs.draw(sample, dtype, longest);
    Tensor out = sample.unset(dtype, inputs.q.shape());
    Tensor logsumexp = sample.unset(inputs.q.size(0), inputs.q.size(2), inputs.q.size(1));
    on.attentionForward(inputs.q, inputs.k, inputs.v, inputs.scale, inputs.window, out, logsumexp);
    return List.of(out, logsumexp);
  }

  private static List<Tensor> backward(Backend on, Sample sample, DType dtype, int longest) {
    Inputs inputs = Inputs.draw(sample, dtype, longest);
    Tensor dout = sample.normal(dtype, inputs.q.shape());
    Tensor out = sample.unset(dtype, inputs.q.shape());
    Tensor logsumexp = sample.unset(inputs.q.size(0), inputs.q.size(2), inputs.q.size(1));
    Tensor dq = sample.unset(dtype, inputs.q.shape());
    Tensor dk = sample.unset(dtype, inputs.k.shape());
    Tensor dv = sample.unset(dtype, inputs.k.shape());
    try (Backend reference = new ReferenceBackend()) {
      reference.attentionForward(
          inputs.q, inputs.k, inputs.v, inputs.scale, inputs.window, out, logsumexp);
    }
    on.attentionBackward(
        inputs.q,
        inputs.k,
        inputs.v,
        out,
        logsumexp,
        dout,
        inputs.scale,
        inputs.window,
        dq,
        dk,
        dv);
    return List.of(dq, dk, dv);
  }

  private static List<Tensor> rotary(Backend on, Sample sample, DType dtype) {
    int size = 2 * sample.between(1, 40);
    int tokens = sample.between(1, 50);
    int pairs = sample.between(1, size / 2);
    Tensor x = sample.normal(dtype, tokens, 3, size);
    Tensor y = sample.unset(dtype, tokens, 3, size);
    on.rotary(
        x,
        sample.integers(0, 11, tokens),
        sample.normal(11, pairs),
        sample.normal(11, pairs),
        sample.between(0, 1) == 1,
        2 * sample.between(0, 1) - 1,
        y);
    return List.of(y);
  }

  private record Inputs(Tensor q, Tensor k, Tensor v, float scale, long window) {
    static Inputs draw(Sample sample, DType dtype, int longest) {
      int sequences = sample.between(1, 2);
      int length = sample.between(1, longest);
      int keyHeads = sample.between(1, 2);
      int heads = keyHeads * sample.between(1, 3);
      int size = sample.between(1, 40);
      long window = sample.between(0, 1) * sample.between(1, length);
      return new Inputs(
          sample.normal(dtype, sequences, length, heads, size),
          sample.normal(dtype, sequences, length, keyHeads, size),
          sample.normal(dtype, sequences, length, keyHeads, size),
          (float) (1 / Math.sqrt(size)),
          window);
    }
  }
}
