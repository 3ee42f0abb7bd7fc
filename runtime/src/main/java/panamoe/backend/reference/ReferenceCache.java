package panamoe.backend.reference;

import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.CachePlaces;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** Causal attention of single tokens over a key/value cache: one slot a sequence. */
interface ReferenceCache extends AttentionKernels, Launching {

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch(
        () -> {
          Tensor keys = places.keys();
          checkPlaces(places, k.size(0));
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
          checkPlaces(places, q.size(0));
          Check.tensor("keys", keys, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, q.size(2));
          Check.tensor("out", out, Kind.FLOATING, q.size(0), q.size(1), q.size(2));
          Check.sameDtype("q", q, "keys", keys);
          Check.sameDtype("q", q, "out", out);
          ReferenceAttention.Shape.checkHeads(q.size(1), keys.size(2));
          Check.optional("sinks", sinks, Kind.FLOAT32, q.size(1));
          ReferenceAttention.Shape.checkSettings(settings);
          Check.require(
              settings.mask() == Mask.CAUSAL, "mask is " + settings.mask() + ", expected CAUSAL");
          Check.disjoint("q", q, "out", out);

          double[][] queries = Values.readRows(q);
          double[][] result = Values.zeroRows(out);
          int heads = (int) q.size(1);
          int keyHeads = (int) keys.size(2);
          for (int t = 0; t < q.size(0); t++) {
            // Only this token's own sequence is read: the rest of the cache may hold anything.
            int slot = places.slot().getInt(t);
            double[][] ownKeys = Values.readRows(keys.rows(slot, slot + 1));
            double[][] ownValues = Values.readRows(places.values().rows(slot, slot + 1));
            int last = places.position().getInt(t);
            long window = settings.window();
            int first = window == 0 ? 0 : (int) Math.max(0, last - window + 1);
            for (int h = 0; h < heads; h++) {
              int keyHead = h / (heads / keyHeads);
              double[] query = queries[t * heads + h];
              double[] scores = new double[last - first + 2]; // of the keys, then of the sink
              for (int j = first; j <= last; j++) {
                scores[j - first] =
                    settings.scale() * Vectors.dot(query, ownKeys[j * keyHeads + keyHead]);
              }
              scores[last - first + 1] =
                  sinks == null ? Double.NEGATIVE_INFINITY : sinks.getFloat(h);
              double[] p = Vectors.softmax(scores);
              for (int j = first; j <= last; j++) {
                Vectors.addScaled(
                    result[t * heads + h], p[j - first], ownValues[j * keyHeads + keyHead]);
              }
            }
          }
          Values.write(result, out);
        });
  }

  private static void checkPlaces(CachePlaces places, long rows) {
    Tensor keys = places.keys();
    Tensor values = places.values();
    Check.tensor("keys", keys, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, Check.ANY);
    Check.tensor(
        "values", values, Kind.FLOATING, keys.size(0), keys.size(1), keys.size(2), keys.size(3));
    Check.sameDtype("keys", keys, "values", values);
    Check.tensor("slot", places.slot(), Kind.INT32, rows);
    Check.tensor("position", places.position(), Kind.INT32, rows);
    Check.range("slot", places.slot(), 0, keys.size(0));
    Check.range("position", places.position(), 0, keys.size(1));
  }

  private static void store(Tensor rows, CachePlaces places, Tensor cache) {
    long width = cache.size(2) * cache.size(3);
    for (long t = 0; t < rows.size(0); t++) {
      long start = (places.slot().getInt(t) * cache.size(1) + places.position().getInt(t)) * width;
      for (long i = 0; i < width; i++) {
        cache.setFloat(start + i, rows.getFloat(t * width + i));
      }
    }
  }
}
