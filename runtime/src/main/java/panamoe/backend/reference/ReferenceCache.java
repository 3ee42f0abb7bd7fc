package panamoe.backend.reference;

import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.CachePlaces;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** Causal attention of single tokens over a paged key/value cache: one slot a sequence. */
interface ReferenceCache extends AttentionKernels, Launching {

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch(
        () -> {
          Tensor keys = places.keys();
          checkPlaces(places, k.size(0), 1);
          Check.tensor("k", k, Kind.FLOATING, Check.ANY, keys.size(2), keys.size(3));
          Check.tensor("v", v, Kind.FLOATING, k.size(0), keys.size(2), keys.size(3));
          Check.sameDtype("keys", keys, "k", k);
          Check.sameDtype("keys", keys, "v", v);
          Check.disjoint("keys", keys, "values", places.values());
          store(k, places, keys);
          store(v, places, places.values());
        });
  }

  @Override
  default void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out) {
    launch(
        () -> {
          Tensor keys = places.keys();
          Check.tensor("q", q, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY);
          ReferenceAttention.Shape.checkSettings(settings);
          checkPlaces(places, q.size(0), settings.window());
          Check.tensor("keys", keys, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, q.size(2));
          Check.tensor("out", out, Kind.FLOATING, q.size(0), q.size(1), q.size(2));
          Check.sameDtype("q", q, "keys", keys);
          Check.sameDtype("q", q, "out", out);
          ReferenceAttention.Shape.checkHeads(q.size(1), keys.size(2));
          Check.optional("sinks", sinks, Kind.FLOAT32, q.size(1));
          Check.require(
              settings.mask() == Mask.CAUSAL, "mask is " + settings.mask() + ", expected CAUSAL");
          Check.disjoint("q", q, "out", out);

          double[][] queries = Values.readRows(q);
          double[][] result = Values.zeroRows(out);
          int heads = (int) q.size(1);
          int keyHeads = (int) keys.size(2);
          for (int t = 0; t < q.size(0); t++) {
            int last = places.position().getInt(t);
            int first = firstSeen(last, settings.window());
            // What this token does not see is not read: it may be anything.
            double[][][] seenKeys = new double[last - first + 1][][];
            double[][][] seenValues = new double[last - first + 1][][];
            for (int j = first; j <= last; j++) {
              long row = rowOf(places, places.slot().getInt(t), j);
              seenKeys[j - first] = readRow(keys, row);
              seenValues[j - first] = readRow(places.values(), row);
            }
            for (int h = 0; h < heads; h++) {
              int keyHead = h / (heads / keyHeads);
              double[] query = queries[t * heads + h];
              double[] scores = new double[last - first + 2]; // of the keys, then of the sink
              for (int j = first; j <= last; j++) {
                scores[j - first] =
                    settings.scale() * Vectors.dot(query, seenKeys[j - first][keyHead]);
              }
              scores[last - first + 1] =
                  sinks == null ? Double.NEGATIVE_INFINITY : sinks.getFloat(h);
              double[] p = Vectors.softmax(scores);
              for (int j = first; j <= last; j++) {
                Vectors.addScaled(
                    result[t * heads + h], p[j - first], seenValues[j - first][keyHead]);
              }
            }
          }
          Values.write(result, out);
        });
  }

  /** {@code window}: how many positions up to its own a row needs, 0 for all. */
  private static void checkPlaces(CachePlaces places, long rows, long window) {
    Tensor keys = places.keys();
    Tensor values = places.values();
    Check.tensor("keys", keys, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, Check.ANY);
    Check.tensor(
        "values", values, Kind.FLOATING, keys.size(0), keys.size(1), keys.size(2), keys.size(3));
    Check.sameDtype("keys", keys, "values", values);
    Tensor table = places.table();
    Check.tensor("table", table, Kind.INT32, Check.ANY, Check.ANY);
    Check.tensor("slot", places.slot(), Kind.INT32, rows);
    Check.tensor("position", places.position(), Kind.INT32, rows);
    Check.range("slot", places.slot(), 0, table.size(0));
    Check.range("position", places.position(), 0, table.size(1) * keys.size(1));
    for (long t = 0; t < rows; t++) {
      int slot = places.slot().getInt(t);
      int last = places.position().getInt(t);
      for (int j = firstSeen(last, window); j <= last; j++) {
        long entry = j / keys.size(1);
        int block = table.getInt(slot * table.size(1) + entry);
        Check.require(
            block >= 0 && block < keys.size(0),
            () ->
                "table["
                    + slot
                    + ", "
                    + entry
                    + "] is "
                    + block
                    + ", expected 0 to "
                    + (keys.size(0) - 1));
      }
    }
  }

  private static int firstSeen(int position, long window) {
    return window == 0 ? 0 : (int) Math.max(0, position - window + 1);
  }

  /** The row of keys, values [blocks * block, G, D] where a position of a slot lies. */
  private static long rowOf(CachePlaces places, int slot, int position) {
    Tensor table = places.table();
    long block = places.keys().size(1);
    return table.getInt(slot * table.size(1) + position / block) * block + position % block;
  }

  private static double[][] readRow(Tensor cache, long row) {
    return Values.readRows(
        cache
            .reshape(cache.size(0) * cache.size(1), cache.size(2), cache.size(3))
            .rows(row, row + 1));
  }

  private static void store(Tensor rows, CachePlaces places, Tensor cache) {
    long width = cache.size(2) * cache.size(3);
    for (long t = 0; t < rows.size(0); t++) {
      long start = rowOf(places, places.slot().getInt(t), places.position().getInt(t)) * width;
      for (long i = 0; i < width; i++) {
        cache.setFloat(start + i, rows.getFloat(t * width + i));
      }
    }
  }
}
