package panamoe.backend.reference;

import java.util.Arrays;
import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.CachePlaces;
import panamoe.backend.RelativeBias;
import panamoe.backend.reference.Check.Kind;
import panamoe.io.Words;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Attention of single tokens over a paged key/value cache with one slot per sequence. */
interface ReferenceCache extends AttentionKernels, ReferenceContext {

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch(
        () -> {
          Tensor keys = places.keys();
          Check.tensor("k", k, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY);
          checkPlaces(places, "k", k, AttentionSettings.causal(1, 1));
          Check.tensor("k", k, Kind.FLOATING, Check.ANY, keys.size(2), keys.size(3));
          Check.tensor("v", v, Kind.FLOATING, k.size(0), keys.size(2), keys.size(3));
          Check.sameDtype("k", k, "v", v);
          store(k, places, keys, places.keyScales());
          if (places.values() == keys && v == k) {
            return; // rows that are key and value
          }
          Check.disjoint("keys", keys, "values", places.values());
          store(v, places, places.values(), places.valueScales());
        });
  }

  @Override
  default void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out) {
    launch(
        () -> {
          checkDecode(settings, q, places, out);
          Check.optional("sinks", sinks, Kind.FLOAT32, q.size(1));
          attend(settings, q, sinks, null, places, out);
        });
  }

  @Override
  default void attentionBiased(
      AttentionSettings settings, RelativeBias bias, Tensor q, CachePlaces places, Tensor out) {
    launch(
        () -> {
          checkDecode(settings, q, places, out);
          Check.tensor("bias", bias.bias(), Kind.FLOAT32, Check.ANY, q.size(1));
          long rows = bias.bias().size(0);
          Check.require(
              rows % 2 == 1, "bias has " + rows + " rows, expected 2R + 1, an odd number");
          Check.tensor("bias.position", bias.position(), Kind.INT32, q.size(0));
          Check.require(
              settings.softCap() == 0,
              "soft_cap is " + settings.softCap() + " with a bias, expected 0");
          attend(settings, q, null, bias, places, out);
        });
  }

  private static void checkDecode(
      AttentionSettings settings, Tensor q, CachePlaces places, Tensor out) {
    Tensor keys = places.keys();
    Check.tensor("q", q, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY);
    ReferenceAttention.Shape.checkSettings(settings);
    checkPlaces(places, "q", q, settings);
    Check.tensor("keys", keys, Kind.FLOATING_OR_INT8, Check.ANY, Check.ANY, Check.ANY, q.size(2));
    Check.tensor("out", out, Kind.FLOATING, q.size(0), q.size(1), q.size(2));
    Check.sameDtype("q", q, "out", out);
    ReferenceAttention.Shape.checkHeads(q.size(1), keys.size(2));
    Check.require(
        settings.mask() != Mask.FULL, "mask is FULL, but a token sees none of later steps");
    Check.disjoint("q", q, "out", out);
  }

  /**
   * @param sinks and {@code bias} may be null
   */
  private static void attend(
      AttentionSettings settings,
      Tensor q,
      Tensor sinks,
      RelativeBias bias,
      CachePlaces places,
      Tensor out) {
    double[][] queries = Values.readRows(q);
    double[][] result = Values.zeroRows(out);
    int heads = (int) q.size(1);
    int keyHeads = (int) places.keys().size(2);
    for (int t = 0; t < q.size(0); t++) {
      int last = places.position().getInt(t);
      int first = (int) settings.firstSeen(last);
      // Positions that this token does not see are not read: they may hold anything.
      double[][][] seenKeys = new double[last - first + 1][][];
      double[][][] seenValues = new double[last - first + 1][][];
      for (int j = first; j <= last; j++) {
        long row = rowOf(places, places.slot().getInt(t), j);
        seenKeys[j - first] = readRow(places.keys(), places.keyScales(), row);
        seenValues[j - first] = readRow(places.values(), places.valueScales(), row);
      }
      for (int h = 0; h < heads; h++) {
        int keyHead = h / (heads / keyHeads);
        double[] query = queries[t * heads + h];
        double[] scores = new double[last - first + 2]; // of the keys, then of the sink
        for (int j = first; j <= last; j++) {
          scores[j - first] =
              Vectors.softCap(
                      settings.scale() * Vectors.dot(query, seenKeys[j - first][keyHead]),
                      settings.softCap())
                  + (bias == null ? 0 : biasOf(bias, t, j, h));
        }
        scores[last - first + 1] = sinks == null ? Double.NEGATIVE_INFINITY : sinks.getFloat(h);
        double[] p = Vectors.softmax(scores);
        for (int j = first; j <= last; j++) {
          Vectors.addScaled(result[t * heads + h], p[j - first], seenValues[j - first][keyHead]);
        }
      }
    }
    Values.write(result, out);
  }

  /** The score of row t and the key at position j, for query head h. */
  private static double biasOf(RelativeBias bias, int t, int j, int h) {
    long reach = bias.bias().size(0) / 2;
    long distance = Math.clamp((long) j - bias.position().getInt(t), -reach, reach);
    return bias.bias().getFloat((distance + reach) * bias.bias().size(1) + h);
  }

  /**
   * @param x the rows, in the dtype of keys unless those are INT8
   * @param settings say which positions up to its own a row sees
   */
  private static void checkPlaces(
      CachePlaces places, String name, Tensor x, AttentionSettings settings) {
    long rows = x.size(0);
    Tensor keys = places.keys();
    Tensor values = places.values();
    Check.tensor("keys", keys, Kind.FLOATING_OR_INT8, Check.ANY, Check.ANY, Check.ANY, Check.ANY);
    Check.tensor("values", values, Kind.FLOATING_OR_INT8, keys.shape());
    Check.sameDtype("keys", keys, "values", values);
    if (keys.dtype() == DType.INT8) {
      long[] scales = Arrays.copyOf(keys.shape(), 3);
      Check.tensor("key_scales", places.keyScales(), Kind.FLOAT32, scales);
      Check.tensor("value_scales", places.valueScales(), Kind.FLOAT32, scales);
    } else {
      Check.sameDtype(name, x, "keys", keys);
      Check.require(
          places.keyScales() == null && places.valueScales() == null,
          "scales are given, but keys are no int8");
    }
    Tensor table = places.table();
    Check.tensor("table", table, Kind.INT32, Check.ANY, Check.ANY);
    Check.tensor("slot", places.slot(), Kind.INT32, rows);
    Check.tensor("position", places.position(), Kind.INT32, rows);
    Check.range("slot", places.slot(), 0, table.size(0));
    Check.range("position", places.position(), 0, table.size(1) * keys.size(1));
    for (long t = 0; t < rows; t++) {
      int slot = places.slot().getInt(t);
      int last = places.position().getInt(t);
      for (int j = (int) settings.firstSeen(last); j <= last; j++) {
        long entry = j / keys.size(1);
        int block = table.getInt(slot * table.size(1) + entry);
        Check.require(
            block >= 0 && block < keys.size(0),
            () ->
                Words.of(
                    "table[%s, %s] is %s, expected 0 to %s", slot, entry, block, keys.size(0) - 1));
      }
    }
  }

  /** The row of keys and values [blocks * block, G, D] that holds a position of a slot. */
  private static long rowOf(CachePlaces places, int slot, int position) {
    Tensor table = places.table();
    long block = places.keys().size(1);
    return table.getInt(slot * table.size(1) + position / block) * block + position % block;
  }

  /** The heads [G][D] of a row; {@code scales} of INT8 elements, else null. */
  private static double[][] readRow(Tensor cache, Tensor scales, long row) {
    int heads = (int) cache.size(2);
    int size = (int) cache.size(3);
    double[][] read = new double[heads][size];
    for (int head = 0; head < heads; head++) {
      double scale = scales == null ? 1 : scales.getFloat(row * heads + head);
      for (int i = 0; i < size; i++) {
        read[head][i] = scale * cache.getFloat((row * heads + head) * size + i);
      }
    }
    return read;
  }

  private static void store(Tensor rows, CachePlaces places, Tensor cache, Tensor scales) {
    long heads = cache.size(2);
    long size = cache.size(3);
    for (long t = 0; t < rows.size(0); t++) {
      long row = rowOf(places, places.slot().getInt(t), places.position().getInt(t));
      for (long head = 0; head < heads; head++) {
        long from = (t * heads + head) * size;
        long to = (row * heads + head) * size;
        if (scales == null) {
          for (long i = 0; i < size; i++) {
            cache.setFloat(to + i, rows.getFloat(from + i));
          }
        } else {
          scales.setFloat(row * heads + head, quantise(rows, from, cache, to, size));
        }
      }
    }
  }

  /** Rounds x from {@code from} on to INT8 and returns the scale. */
  private static float quantise(Tensor x, long from, Tensor cache, long to, long size) {
    float most = 0;
    for (long i = 0; i < size; i++) {
      most = Math.max(most, Math.abs(x.getFloat(from + i))); // NaN if an element is NaN
    }
    float scale = most / 127;
    for (long i = 0; i < size; i++) {
      float quotient = scale == 0 ? 0 : x.getFloat(from + i) / scale;
      cache.setFloat(to + i, (float) Math.rint(Math.clamp(quotient, -127f, 127f)));
    }
    return scale;
  }
}
