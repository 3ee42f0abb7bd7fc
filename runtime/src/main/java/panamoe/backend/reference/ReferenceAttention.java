package panamoe.backend.reference;

import panamoe.backend.AttentionKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/**
 * Causal attention over whole sequences. Rows of q and out are numbered (b, i, h), rows of k and v
 * (b, j, g); query head h reads key head {@code h / (H / G)}.
 */
interface ReferenceAttention extends AttentionKernels, Launching {

  @Override
  default void attentionForward(
      Tensor q, Tensor k, Tensor v, float scale, long window, Tensor out, Tensor logsumexp) {
    launch(
        () -> {
          Shape shape = Shape.check(q, k, v, scale, window);
          shape.checkLikeQuery("out", out, q);
          Check.optional(
              "logsumexp", logsumexp, Kind.FLOAT32, shape.sequences, shape.heads, shape.length);
          Check.disjoint("q", q, "out", out);
          Check.disjoint("k", k, "out", out);
          Check.disjoint("v", v, "out", out);

          double[][] queries = Values.readRows(q);
          double[][] keys = Values.readRows(k);
          double[][] values = Values.readRows(v);
          double[][] result = Values.zeroRows(out);
          shape.forEachQuery(
              (b, i, h) -> {
                int query = shape.query(b, i, h);
                double[] scores = shape.scores(queries[query], keys, b, i, h, scale, window);
                double[] p = Vectors.softmax(scores);
                for (int j = 0; j <= i; j++) {
                  Vectors.addScaled(result[query], p[j], values[shape.key(b, j, h)]);
                }
                if (logsumexp != null) {
                  logsumexp.setFloat(shape.sum(b, i, h), (float) Vectors.logSumExp(scores));
                }
              });
          Values.write(result, out);
        });
  }

  /**
   * With {@code p_j = exp(score_j - logsumexp)}, {@code dp_j = dout . v_j}: {@code dscore_j = p_j
   * (dp_j - dout . out)}, for {@code dout . out} is the sum of {@code p_j dp_j} (Dao et al.,
   * FlashAttention, 2022).
   */
  @Override
  default void attentionBackward(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logsumexp,
      Tensor dout,
      float scale,
      long window,
      Tensor dq,
      Tensor dk,
      Tensor dv) {
    launch(
        () -> {
          Shape shape = Shape.check(q, k, v, scale, window);
          shape.checkLikeQuery("out", out, q);
          Check.tensor(
              "logsumexp", logsumexp, Kind.FLOAT32, shape.sequences, shape.heads, shape.length);
          shape.checkLikeQuery("dout", dout, q);
          shape.checkLikeQuery("dq", dq, q);
          shape.checkLikeKey("dk", dk, q);
          shape.checkLikeKey("dv", dv, q);

          double[][] queries = Values.readRows(q);
          double[][] keys = Values.readRows(k);
          double[][] values = Values.readRows(v);
          double[][] outputs = Values.readRows(out);
          double[][] upstream = Values.readRows(dout);
          double[][] dqueries = Values.zeroRows(dq);
          double[][] dkeys = Values.zeroRows(dk);
          double[][] dvalues = Values.zeroRows(dv);
          shape.forEachQuery(
              (b, i, h) -> {
                int query = shape.query(b, i, h);
                double[] scores = shape.scores(queries[query], keys, b, i, h, scale, window);
                double mean = Vectors.dot(upstream[query], outputs[query]);
                for (int j = 0; j <= i; j++) {
                  int key = shape.key(b, j, h);
                  double p = Math.exp(scores[j] - logsumexp.getFloat(shape.sum(b, i, h)));
                  double dscore = p * (Vectors.dot(upstream[query], values[key]) - mean);
                  Vectors.addScaled(dvalues[key], p, upstream[query]);
                  Vectors.addScaled(dqueries[query], scale * dscore, keys[key]);
                  Vectors.addScaled(dkeys[key], scale * dscore, queries[query]);
                }
              });
          Values.write(dqueries, dq);
          Values.write(dkeys, dk);
          Values.write(dvalues, dv);
        });
  }

  /** B sequences of L tokens, H query heads, G key heads, D numbers a head. */
  record Shape(int sequences, int length, int heads, int keyHeads, int headSize) {

    interface Query {
      void accept(int sequence, int token, int head);
    }

    static Shape check(Tensor q, Tensor k, Tensor v, float scale, long window) {
      Check.tensor("q", q, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, Check.ANY);
      Check.tensor("k", k, Kind.FLOATING, q.size(0), q.size(1), Check.ANY, q.size(3));
      Check.tensor("v", v, Kind.FLOATING, q.size(0), q.size(1), k.size(2), q.size(3));
      Check.sameDtype("q", q, "k", k);
      Check.sameDtype("q", q, "v", v);
      checkHeads(q.size(2), k.size(2));
      checkScaleAndWindow(scale, window);
      return new Shape(
          (int) q.size(0), (int) q.size(1), (int) q.size(2), (int) k.size(2), (int) q.size(3));
    }

    static void checkHeads(long heads, long keyHeads) {
      Check.require(
          keyHeads > 0 && heads % keyHeads == 0,
          "k has " + keyHeads + " heads, expected a divisor of q's " + heads);
    }

    static void checkScaleAndWindow(float scale, long window) {
      Check.finite("scale", scale);
      Check.require(window >= 0, "window is " + window + ", expected 0 or more");
    }

    void checkLikeQuery(String name, Tensor tensor, Tensor q) {
      Check.tensor(name, tensor, Kind.FLOATING, sequences, length, heads, headSize);
      Check.sameDtype("q", q, name, tensor);
    }

    void checkLikeKey(String name, Tensor tensor, Tensor q) {
      Check.tensor(name, tensor, Kind.FLOATING, sequences, length, keyHeads, headSize);
      Check.sameDtype("q", q, name, tensor);
    }

    void forEachQuery(Query action) {
      for (int b = 0; b < sequences; b++) {
        for (int i = 0; i < length; i++) {
          for (int h = 0; h < heads; h++) {
            action.accept(b, i, h);
          }
        }
      }
    }

    int query(int b, int i, int h) {
      return (b * length + i) * heads + h;
    }

    int key(int b, int j, int h) {
      return (b * length + j) * keyHeads + h / (heads / keyHeads);
    }

    /** Place of the query in logsumexp [B, H, L]. */
    int sum(int b, int i, int h) {
      return (b * heads + h) * length + i;
    }

    /** Scores of keys 0..i; minus infinity before the window. */
    double[] scores(
        double[] query, double[][] keys, int b, int i, int h, float scale, long window) {
      double[] scores = new double[i + 1];
      for (int j = 0; j <= i; j++) {
        boolean seen = window == 0 || j > i - window;
        scores[j] =
            seen ? scale * Vectors.dot(query, keys[key(b, j, h)]) : Double.NEGATIVE_INFINITY;
      }
      return scores;
    }
  }
}
