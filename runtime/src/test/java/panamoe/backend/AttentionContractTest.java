package panamoe.backend;

import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
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
    for (AttentionSettings settings : settings(0.7f, 1, 4)) {
      for (boolean withSinks : new boolean[] {false, true}) {
        try (Sample sample = new Sample(backend, 1)) {
          Tensor q = sample.normal(2, length, heads, size);
          Tensor k = sample.normal(2, length, keyHeads, size);
          Tensor v = sample.normal(2, length, keyHeads, size);
          Tensor out = sample.unset(2, length, heads, size);
          Tensor logsumexp = sample.unset(2, heads, length);
          Tensor sinks = withSinks ? sample.normal(heads) : null;
          backend.attentionForward(settings, new AttentionInputs(q, k, v, sinks), out, logsumexp);
          double[] expected = new double[2 * length * heads * size];
          double[] expectedSums = new double[2 * heads * length];
          for (int b = 0; b < 2; b++) {
            for (int i = 0; i < length; i++) {
              for (int h = 0; h < heads; h++) {
                int query = ((b * length + i) * heads + h) * size;
                double total = withSinks ? Math.exp(sinks.getFloat(h)) : 0;
                for (int j = 0; j < length; j++) {
                  if (!seen(settings, i, j)) {
                    continue;
                  }
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
  }

  @EveryBackend
  void gradientsMatchFiniteDifferences(Backend backend) {
    for (AttentionSettings settings : settings(0.6f, 2)) {
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
        Tensor sinks = sample.normal(2);
        Tensor dsinks = sample.floats(new float[] {1, -2}, 2); // added to
        AttentionInputs inputs = new AttentionInputs(q, k, v, sinks);
        backend.attentionForward(settings, inputs, out, logsumexp);
        backend.attentionBackward(
            settings, inputs, out, logsumexp, dout, new AttentionGradients(dq, dk, dv, dsinks));
        dsinks.set(dsinks.getFloat(0) - 1, dsinks.getFloat(1) + 2);
        Tensor probe = sample.unset(1, 4, 2, 3);
        for (Tensor[] pair : new Tensor[][] {{q, dq}, {k, dk}, {v, dv}, {sinks, dsinks}}) {
          assertGradient(
              pair[0],
              pair[1],
              5e-4,
              () -> {
                backend.attentionForward(settings, inputs, probe, null);
                return dot(probe, dout);
              });
        }
      }
    }
  }

  /** A rotation and its inverse give x back; scores depend only on the distance of positions. */
  @EveryBackend
  void rotaryTurnsPairs(Backend backend) {
    for (boolean adjacent : new boolean[] {false, true}) {
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
        backend.rotary(x, positions, cosine, sine, adjacent, 1, y);
        assertClose(new double[] {Math.sqrt(3), 1, 7, 0, 2, 7}, y, 1e-6);
        backend.rotary(y, positions, cosine, sine, adjacent, -1, y);
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
   * Tokens in any slot and blocks of a cache, decoded in any order, see what they see in their
   * sequence.
   */
  @EveryBackend
  void decodingFromTheCacheEqualsTheWholeSequence(Backend backend) {
    for (int[] blocks : new int[][] {{1, 0}, {1, 3}, {3, 0}, {3, 3}, {8, 0}, {8, 3}}) {
      int block = blocks[0];
      int window = blocks[1];
      AttentionSettings settings = AttentionSettings.causal(window, 0.4f);
      try (Sample sample = new Sample(backend, 5)) {
        Tensor q = sample.normal(2, 7, 4, 5);
        Tensor k = sample.normal(2, 7, 2, 5);
        Tensor v = sample.normal(2, 7, 2, 5);
        Tensor whole = sample.unset(2, 7, 4, 5);
        Tensor sinks = window == 0 ? null : sample.normal(4);
        backend.attentionForward(settings, new AttentionInputs(q, k, v, sinks), whole, null);
        int width = (7 + block - 1) / block;
        Tensor keys = sample.unset(2 * width + 1, block, 2, 5);
        Tensor values = sample.unset(2 * width + 1, block, 2, 5);
        Tensor table = sample.integers(-1, 0, 3, width);
        for (int i = 0; i < width; i++) {
          table.setInt(2L * width + i, 2 * width - 2 * i);
          table.setInt(i, 2 * i + 1);
        }
        Tensor slot = sample.unset(DType.INT32, 14);
        Tensor position = sample.unset(DType.INT32, 14);
        for (int t = 0; t < 14; t++) {
          slot.setInt(t, t < 7 ? 2 : 0);
          position.setInt(t, t % 7);
        }
        CachePlaces places = new CachePlaces(keys, values, table, slot, position);
        backend.cacheAppend(k.reshape(14, 2, 5), v.reshape(14, 2, 5), places);
        Tensor out = sample.unset(14, 4, 5);
        backend.attentionDecode(settings, q.reshape(14, 4, 5), sinks, places, out);
        assertClose(whole.reshape(14, 4, 5), out, TOLERANCE);
        Tensor alone = sample.unset(1, 4, 5);
        for (int t = 0; t < 14; t++) {
          backend.attentionDecode(
              settings,
              q.reshape(14, 4, 5).rows(t, t + 1),
              sinks,
              new CachePlaces(keys, values, table, slot.rows(t, t + 1), position.rows(t, t + 1)),
              alone);
          assertSameBits(out.rows(t, t + 1), alone);
        }
      }
    }
  }

  /** Two sequences share the blocks of their common prefix. */
  @EveryBackend
  void slotsMayShareBlocks(Backend backend) {
    try (Sample sample = new Sample(backend, 10)) {
      AttentionSettings settings = AttentionSettings.causal(0.4f);
      Tensor keys = sample.unset(3, 4, 2, 5);
      Tensor values = sample.unset(3, 4, 2, 5);
      Tensor table = sample.integers(new int[] {1, -1, 1, 0, 1, 2}).reshape(3, 2);
      Tensor k = sample.normal(6, 2, 5);
      Tensor v = sample.normal(6, 2, 5);
      Tensor slot = sample.integers(new int[] {0, 0, 0, 0, 1, 2});
      Tensor position = sample.integers(new int[] {0, 1, 2, 3, 4, 4});
      backend.cacheAppend(k, v, new CachePlaces(keys, values, table, slot, position));
      Tensor q = sample.normal(1, 4, 5);
      Tensor out = sample.unset(1, 4, 5);
      Tensor whole = sample.unset(1, 5, 4, 5);
      for (int sequence : new int[] {1, 2}) {
        Tensor ownKeys = sample.unset(1, 5, 2, 5);
        Tensor ownValues = sample.unset(1, 5, 2, 5);
        Tensor queries = sample.unset(1, 5, 4, 5);
        for (int j = 0; j < 5; j++) {
          int from = j < 4 ? j : 3 + sequence;
          backend.copy(k.rows(from, from + 1), ownKeys.reshape(5, 2, 5).rows(j, j + 1));
          backend.copy(v.rows(from, from + 1), ownValues.reshape(5, 2, 5).rows(j, j + 1));
          backend.copy(q, queries.reshape(5, 4, 5).rows(j, j + 1));
        }
        backend.attentionForward(
            settings, new AttentionInputs(queries, ownKeys, ownValues), whole, null);
        Tensor at = sample.integers(new int[] {4});
        backend.attentionDecode(
            settings,
            q,
            null,
            new CachePlaces(keys, values, table, sample.integers(new int[] {sequence}), at),
            out);
        assertClose(whole.reshape(5, 4, 5).rows(4, 5), out, TOLERANCE);
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : DTYPES) {
      for (int seed = 0; seed < 8; seed++) {
        assertAgrees(backend, seed, TOLERANCE, (on, sample) -> forward(on, sample, dtype, 70));
        assertAgrees(backend, seed, TOLERANCE, (on, sample) -> rotary(on, sample, dtype));
        assertAgrees(backend, seed, TOLERANCE, (on, sample) -> decode(on, sample, dtype, false));
        // Tensor cores take the elements of an int8 cache rounded to bfloat16.
        boolean rounds = dtype == DType.BFLOAT16 && !backend.name().equals("cpu");
        double tolerance = rounds ? 0x1p-6 : TOLERANCE;
        assertAgrees(backend, seed, tolerance, (on, sample) -> decode(on, sample, dtype, true));
      }
    }
  }

  /**
   * The backward reads the reference's {@code out}, because a backend's differs in its rounding to
   * bfloat16. Products of bfloat16 take weights and their gradients rounded too, and are off by two
   * units in the last place.
   */
  @EveryNativeBackend
  void backwardAgreesWithTheReference(Backend backend) {
    for (int seed = 0; seed < 8; seed++) {
      assertAgrees(backend, seed, 5e-5, (on, sample) -> backward(on, sample, DType.FLOAT32, 70));
      assertAgrees(backend, seed, 0x1p-6, (on, sample) -> backward(on, sample, DType.BFLOAT16, 70));
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
      AttentionSettings settings = AttentionSettings.causal(0.25f);
      backend.attentionForward(settings, new AttentionInputs(q, k, v), all, null);
      for (int b = 0; b < 5; b++) {
        backend.attentionForward(
            settings,
            new AttentionInputs(q.rows(b, b + 1), k.rows(b, b + 1), v.rows(b, b + 1)),
            alone,
            null);
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
      AttentionSettings causal = AttentionSettings.causal(1);
      AttentionInputs good = new AttentionInputs(q, q, q);
      assertRefused(
          "heads", () -> backend.attentionForward(causal, new AttentionInputs(q, k, k), out, null));
      assertRefused(
          "window is -1",
          () -> backend.attentionForward(AttentionSettings.causal(-1, 1), good, out, null));
      assertRefused(
          "window is 2 with",
          () ->
              backend.attentionForward(new AttentionSettings(Mask.FULL, 2, 1, 0), good, out, null));
      assertRefused(
          "sinks has shape [3], expected [4]",
          () ->
              backend.attentionForward(
                  causal, new AttentionInputs(q, q, q, sample.normal(3)), out, null));
      assertRefused(
          "sinks and dsinks are given together or both null, sinks is null",
          () ->
              backend.attentionBackward(
                  causal,
                  good,
                  out,
                  sample.unset(1, 4, 3),
                  q,
                  new AttentionGradients(
                      sample.unset(1, 3, 4, 2),
                      sample.unset(1, 3, 4, 2),
                      sample.unset(1, 3, 4, 2),
                      sample.unset(4))));
      Tensor keys = sample.normal(2, 5, 4, 2);
      Tensor token = sample.normal(1, 4, 2);
      Tensor zero = sample.integers(new int[] {0});
      Tensor blocks = sample.integers(new int[] {1, 0}).reshape(2, 1);
      assertRefused(
          "position[0] is 5, expected 0 to 4",
          () ->
              backend.attentionDecode(
                  causal,
                  token,
                  null,
                  new CachePlaces(keys, keys, blocks, zero, sample.integers(new int[] {5})),
                  sample.unset(1, 4, 2)));
      assertRefused(
          "mask is",
          () ->
              backend.attentionDecode(
                  AttentionSettings.full(1),
                  token,
                  null,
                  new CachePlaces(keys, keys, blocks, zero, zero),
                  sample.unset(1, 4, 2)));
      assertRefused(
          "slot[0] is 2, expected 0 to 1",
          () ->
              backend.cacheAppend(
                  token,
                  token,
                  new CachePlaces(
                      keys,
                      sample.normal(2, 5, 4, 2),
                      blocks,
                      sample.integers(new int[] {2}),
                      zero)));
      Tensor wrong = sample.integers(new int[] {1, 2, -1, 0}).reshape(2, 2);
      Tensor last = sample.integers(new int[] {9});
      assertRefused(
          "table[0, 1] is 2, expected 0 to 1",
          () ->
              backend.attentionDecode(
                  causal,
                  token,
                  null,
                  new CachePlaces(keys, keys, wrong, zero, last),
                  sample.unset(1, 4, 2)));
      Tensor one = sample.integers(new int[] {1});
      CachePlaces unread = new CachePlaces(keys, sample.normal(2, 5, 4, 2), wrong, one, last);
      backend.cacheAppend(token, token, unread);
      backend.synchronize();
      assertRefused(
          "table[1, 0] is -1, expected 0 to 1",
          () -> backend.attentionDecode(causal, token, null, unread, sample.unset(1, 4, 2)));
      Tensor bytes = sample.unset(DType.INT8, 2, 5, 4, 2);
      assertRefused(
          "key_scales is null",
          () ->
              backend.attentionDecode(
                  causal,
                  token,
                  null,
                  new CachePlaces(bytes, bytes, blocks, zero, zero),
                  sample.unset(1, 4, 2)));
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

  /** Without a window, with each of the windows and chunks, and without a mask. */
  private static List<AttentionSettings> settings(float scale, long... windows) {
    List<AttentionSettings> settings = new ArrayList<>();
    settings.add(AttentionSettings.causal(scale));
    for (long window : windows) {
      settings.add(AttentionSettings.causal(window, scale));
      settings.add(new AttentionSettings(Mask.CHUNKED, window, scale, 0));
    }
    settings.add(AttentionSettings.full(scale));
    return settings;
  }

  private static boolean seen(AttentionSettings settings, int i, int j) {
    long window = settings.window();
    return switch (settings.mask()) {
      case FULL -> true;
      case CAUSAL -> j <= i && (window == 0 || j > i - window);
      case CHUNKED -> j <= i && j / window == i / window;
    };
  }

  private static List<Tensor> forward(Backend on, Sample sample, DType dtype, int longest) {
    Case chosen = Case.random(sample, dtype, longest);
    Tensor q = chosen.inputs.q();
    Tensor out = sample.unset(dtype, q.shape());
    Tensor logsumexp = sample.unset(q.size(0), q.size(2), q.size(1));
    on.attentionForward(chosen.settings, chosen.inputs, out, logsumexp);
    return List.of(out, logsumexp);
  }

  private static List<Tensor> backward(Backend on, Sample sample, DType dtype, int longest) {
    Case chosen = Case.random(sample, dtype, longest);
    Tensor q = chosen.inputs.q();
    Tensor sinks = chosen.inputs.sinks();
    Tensor dout = sample.normal(dtype, q.shape());
    Tensor out = sample.unset(dtype, q.shape());
    Tensor logsumexp = sample.unset(q.size(0), q.size(2), q.size(1));
    Tensor dq = sample.unset(dtype, q.shape());
    Tensor dk = sample.unset(dtype, chosen.inputs.k().shape());
    Tensor dv = sample.unset(dtype, chosen.inputs.k().shape());
    Tensor dsinks = sample.floats(new float[Math.toIntExact(q.size(2))], q.size(2));
    try (Backend reference = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(reference)) {
      AttentionInputs inputs =
          new AttentionInputs(
              Sample.copy(scope, q),
              Sample.copy(scope, chosen.inputs.k()),
              Sample.copy(scope, chosen.inputs.v()),
              sinks == null ? null : Sample.copy(scope, sinks));
      Tensor itsOut = Sample.copy(scope, out);
      Tensor itsSums = Sample.copy(scope, logsumexp);
      reference.attentionForward(chosen.settings, inputs, itsOut, itsSums);
      out.copyFrom(itsOut.data());
      logsumexp.copyFrom(itsSums.data());
    }
    on.attentionBackward(
        chosen.settings,
        chosen.inputs,
        out,
        logsumexp,
        dout,
        new AttentionGradients(dq, dk, dv, sinks == null ? null : dsinks));
    return List.of(dq, dk, dv, dsinks);
  }

  /** Rows of two sequences, in blocks of any size and order. */
  private static List<Tensor> decode(Backend on, Sample sample, DType dtype, boolean int8) {
    int block = sample.between(1, 20);
    int width = sample.between(1, 6);
    int rows = sample.between(1, 20);
    int keyHeads = sample.between(1, 2);
    int heads = keyHeads * sample.between(1, 3);
    int size = sample.between(1, 40);
    Mask mask = sample.between(0, 1) == 1 ? Mask.CHUNKED : Mask.CAUSAL;
    long window =
        mask == Mask.CHUNKED ? sample.between(1, 40) : sample.between(0, 1) * sample.between(1, 30);
    Tensor keys = cached(sample, int8, dtype, 2L * width, block, keyHeads, size);
    Tensor values = cached(sample, int8, dtype, 2L * width, block, keyHeads, size);
    Tensor keyScales = int8 ? scales(sample, 2L * width, block, keyHeads) : null;
    Tensor valueScales = int8 ? scales(sample, 2L * width, block, keyHeads) : null;
    Tensor sinks = sample.between(0, 1) == 0 ? null : sample.normal(heads);
    CachePlaces places =
        new CachePlaces(
            keys,
            values,
            keyScales,
            valueScales,
            sample.integers(0, 2 * width, 2, width),
            sample.integers(0, 2, rows),
            sample.integers(0, block * width, rows));
    Tensor out = sample.unset(dtype, rows, heads, size);
    on.attentionDecode(
        new AttentionSettings(
            mask, window, (float) (1 / Math.sqrt(size)), sample.between(0, 1) * 1.5f),
        sample.normal(dtype, rows, heads, size),
        sinks,
        places,
        out);
    on.cacheAppend(
        sample.normal(dtype, rows, keyHeads, size),
        sample.normal(dtype, rows, keyHeads, size),
        places);
    return int8 ? List.of(out, keys, values, keyScales, valueScales) : List.of(out, keys, values);
  }

  private static Tensor cached(Sample sample, boolean int8, DType dtype, long... shape) {
    Tensor normal = sample.normal(dtype, shape);
    if (!int8) {
      return normal;
    }
    Tensor bytes = sample.unset(DType.INT8, shape);
    for (long i = 0; i < bytes.count(); i++) {
      bytes.setFloat(i, Math.round(Math.clamp(40 * normal.getFloat(i), -127f, 127f)));
    }
    return bytes;
  }

  /** Keeps elements of order 1. */
  private static Tensor scales(Sample sample, long... shape) {
    Tensor scales = sample.normal(shape);
    for (long i = 0; i < scales.count(); i++) {
      scales.setFloat(i, Math.abs(scales.getFloat(i)) / 40);
    }
    return scales;
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

  private record Case(AttentionSettings settings, AttentionInputs inputs) {
    static Case random(Sample sample, DType dtype, int longest) {
      int sequences = sample.between(1, 2);
      int length = sample.between(1, longest);
      int keyHeads = sample.between(1, 2);
      int heads = keyHeads * sample.between(1, 3);
      int size = sample.between(1, 40);
      float scale = (float) (1 / Math.sqrt(size));
      Mask mask =
          switch (sample.between(0, 4)) {
            case 0 -> Mask.FULL;
            case 1, 2 -> Mask.CAUSAL;
            default -> Mask.CHUNKED;
          };
      long window =
          switch (mask) {
            case FULL -> 0;
            case CAUSAL -> sample.between(0, 1) * sample.between(1, length);
            case CHUNKED -> sample.between(1, 40);
          };
      return new Case(
          new AttentionSettings(mask, window, scale, sample.between(0, 1) * 1.5f),
          new AttentionInputs(
              sample.normal(dtype, sequences, length, heads, size),
              sample.normal(dtype, sequences, length, keyHeads, size),
              sample.normal(dtype, sequences, length, keyHeads, size),
              sample.between(0, 1) == 0 ? null : sample.normal(heads)));
    }
  }
}
