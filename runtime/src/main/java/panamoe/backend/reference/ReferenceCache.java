package panamoe.backend.reference;

import panamoe.backend.AttentionKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/**
 * Attention of single tokens over a key/value cache [slots, capacity, G, D]: one slot a sequence.
 */
interface ReferenceCache extends AttentionKernels, Launching {

  @Override
  default void cacheAppend(
      Tensor k, Tensor v, Tensor slot, Tensor position, Tensor keys, Tensor values) {
    launch(
        () -> {
          Check.tensor("keys", keys, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, Check.ANY);
          Check.tensor(
              "values",
              values,
              Kind.FLOATING,
              keys.size(0),
              keys.size(1),
              keys.size(2),
              keys.size(3));
          Check.tensor("k", k, Kind.FLOATING, Check.ANY, keys.size(2), keys.size(3));
          Check.tensor("v", v, Kind.FLOATING, k.size(0), keys.size(2), keys.size(3));
          Check.sameDtype("keys", keys, "values", values);
          Check.sameDtype("keys", keys, "k", k);
          Check.sameDtype("keys", keys, "v", v);
          checkPlaces(slot, position, k.size(0), keys);
          Check.disjoint("keys", keys, "values", values);
          store(k, slot, position, keys);
          store(v, slot, position, values);
        });
  }

  @Override
  default void attentionDecode(
      Tensor q,
      Tensor keys,
      Tensor values,
      Tensor slot,
      Tensor position,
      float scale,
      long window,
      Tensor out) {
    launch(
        () -> {
          Check.tensor("q", q, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY);
          Check.tensor("keys", keys, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, q.size(2));
          Check.tensor(
              "values", values, Kind.FLOATING, keys.size(0), keys.size(1), keys.size(2), q.size(2));
          Check.tensor("out", out, Kind.FLOATING, q.size(0), q.size(1), q.size(2));
          Check.sameDtype("q", q, "keys", keys);
          Check.sameDtype("q", q, "values", values);
          Check.sameDtype("q", q, "out", out);
          ReferenceAttention.Shape.checkHeads(q.size(1), keys.size(2));
          ReferenceAttention.Shape.checkScaleAndWindow(scale, window);
          checkPlaces(slot, position, q.size(0), keys);
          Check.disjoint("q", q, "out", out);

          double[][] queries = Values.readRows(q);
          double[][] result = Values.zeroRows(out);
          int heads = (int) q.size(1);
          int keyHeads = (int) keys.size(2);
          for (int t = 0; t < q.size(0); t++) {
            // Only this token's own sequence is read: the rest of the cache may hold anything.
            double[][] ownKeys = Values.readRows(keys.rows(slot.getInt(t), slot.getInt(t) + 1));
            double[][] ownValues = Values.readRows(values.rows(slot.getInt(t), slot.getInt(t) + 1));
            int last = position.getInt(t);
            int first = window == 0 ? 0 : (int) Math.max(0, last - window + 1);
            for (int h = 0; h < heads; h++) {
              int keyHead = h / (heads / keyHeads);
              double[] scores = new double[last - first + 1];
              for (int j = first; j <= last; j++) {
                scores[j - first] =
                    scale * Vectors.dot(queries[t * heads + h], ownKeys[j * keyHeads + keyHead]);
              }
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

  private static void checkPlaces(Tensor slot, Tensor position, long tokens, Tensor keys) {
    Check.tensor("slot", slot, Kind.INT32, tokens);
    Check.tensor("position", position, Kind.INT32, tokens);
    Check.range("slot", slot, 0, keys.size(0));
    Check.range("position", position, 0, keys.size(1));
  }

  private static void store(Tensor rows, Tensor slot, Tensor position, Tensor cache) {
    long width = cache.size(2) * cache.size(3);
    for (long t = 0; t < rows.size(0); t++) {
      long start = (slot.getInt(t) * cache.size(1) + position.getInt(t)) * width;
      for (long i = 0; i < width; i++) {
        cache.setFloat(start + i, rows.getFloat(t * width + i));
      }
    }
  }
}
