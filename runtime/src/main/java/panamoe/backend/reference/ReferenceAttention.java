package panamoe.backend.reference;

import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/**
 * Attention over whole sequences. Rows of q and out are numbered (b, i, h), rows of k and v (b, j,
 * g); query head h reads key head {@code h / (H / G)}.
 */
interface ReferenceAttention extends AttentionKernels, ReferenceContext {

  @Override
  default void attentionForward(
      AttentionSettings settings, AttentionInputs inputs, Tensor out, Tensor logsumexp) {
    launch(
        () -> {
          Shape shape = Shape.check(settings, inputs);
          shape.checkLikeQuery("out", out, inputs.q());
          Check.optional(
              "logsumexp", logsumexp, Kind.FLOAT32, shape.sequences, shape.heads, shape.length);
          Check.disjoint("q", inputs.q(), "out", out);
          Check.disjoint("k", inputs.k(), "out", out);
          Check.disjoint("v", inputs.v(), "out", out);

          Rows rows = Rows.read(inputs);
          double[][] result = Values.zeroRows(out);
          shape.forEachQuery(
              (b, i, h) -> {
                int query = shape.query(b, i, h);
                double[] scores = shape.scores(settings, rows, b, i, h);
                double total = Vectors.logSumExp(scores);
                for (int j = 0; j < shape.length; j++) {
                  double p = Math.exp(scores[j] - total);
                  Vectors.addScaled(result[query], p, rows.v[shape.key(b, j, h)]);
                }
                if (logsumexp != null) {
                  logsumexp.setFloat(shape.sum(b, i, h), (float) total);
                }
              });
          Values.write(result, out);
        });
  }

  /**
   * With {@code p_j = exp(score_j - logsumexp)}, {@code dp_j = dout . v_j}: {@code dscore_j = p_j
   * (dp_j - dout . out)}, for {@code dout . out} is the sum of {@code p_j dp_j} (Dao et al.,
   * FlashAttention, 2022). A sink is a score whose {@code dp} is 0.
   */
  @Override
  default void attentionBackward(
      AttentionSettings settings,
      AttentionInputs inputs,
      Tensor out,
      Tensor logsumexp,
      Tensor dout,
      AttentionGradients gradients) {
    launch(
        () -> {
          Tensor q = inputs.q();
          Shape shape = Shape.check(settings, inputs);
          shape.checkLikeQuery("out", out, q);
          Check.tensor(
              "logsumexp", logsumexp, Kind.FLOAT32, shape.sequences, shape.heads, shape.length);
          shape.checkLikeQuery("dout", dout, q);
          shape.checkLikeQuery("dq", gradients.dq(), q);
          shape.checkLikeKey("dk", gradients.dk(), q);
          shape.checkLikeKey("dv", gradients.dv(), q);
          Check.together("sinks", inputs.sinks(), "dsinks", gradients.dsinks());
          Check.optional("dsinks", gradients.dsinks(), Kind.FLOAT32, shape.heads);

          Rows rows = Rows.read(inputs);
          double[][] outputs = Values.readRows(out);
          double[][] upstream = Values.readRows(dout);
          double[][] dqueries = Values.zeroRows(gradients.dq());
          double[][] dkeys = Values.zeroRows(gradients.dk());
          double[][] dvalues = Values.zeroRows(gradients.dv());
          double[] dsinks =
              inputs.sinks() == null ? new double[shape.heads] : Values.read(gradients.dsinks());
          shape.forEachQuery(
              (b, i, h) -> {
                int query = shape.query(b, i, h);
                double total = logsumexp.getFloat(shape.sum(b, i, h));
                double[] scores = shape.scores(settings, rows, b, i, h);
                double mean = Vectors.dot(upstream[query], outputs[query]);
                for (int j = 0; j < shape.length; j++) {
                  int key = shape.key(b, j, h);
                  double p = Math.exp(scores[j] - total);
                  double dscore = p * (Vectors.dot(upstream[query], rows.v[key]) - mean);
                  dscore *= p == 0 ? 0 : Vectors.softCapSlope(scores[j], settings.softCap());
                  Vectors.addScaled(dvalues[key], p, upstream[query]);
                  Vectors.addScaled(dqueries[query], settings.scale() * dscore, rows.k[key]);
                  Vectors.addScaled(dkeys[key], settings.scale() * dscore, rows.q[query]);
                }
                dsinks[h] -= Math.exp(scores[shape.length] - total) * mean;
              });
          Values.write(dqueries, gradients.dq());
          Values.write(dkeys, gradients.dk());
          Values.write(dvalues, gradients.dv());
          if (inputs.sinks() != null) {
            Values.write(dsinks, gradients.dsinks());
          }
        });
  }

  /** The values of {@link AttentionInputs}; sinks may be null. */
  record Rows(double[][] q, double[][] k, double[][] v, double[] sinks) {
    static Rows read(AttentionInputs inputs) {
      return new Rows(
          Values.readRows(inputs.q()),
          Values.readRows(inputs.k()),
          Values.readRows(inputs.v()),
          inputs.sinks() == null ? null : Values.read(inputs.sinks()));
    }
  }

  /** B sequences of L tokens, H query heads, G key heads, D numbers a head. */
  record Shape(int sequences, int length, int heads, int keyHeads, int headSize) {

    interface Query {
      void accept(int sequence, int token, int head);
    }

    static Shape check(AttentionSettings settings, AttentionInputs inputs) {
      Tensor q = inputs.q();
      Tensor k = inputs.k();
      Tensor v = inputs.v();
      Check.tensor("q", q, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY, Check.ANY);
      Check.tensor("k", k, Kind.FLOATING, q.size(0), q.size(1), Check.ANY, q.size(3));
      Check.tensor("v", v, Kind.FLOATING, q.size(0), q.size(1), k.size(2), q.size(3));
      Check.sameDtype("q", q, "k", k);
      Check.sameDtype("q", q, "v", v);
      checkHeads(q.size(2), k.size(2));
      Check.optional("sinks", inputs.sinks(), Kind.FLOAT32, q.size(2));
      checkSettings(settings);
      return new Shape(
          (int) q.size(0), (int) q.size(1), (int) q.size(2), (int) k.size(2), (int) q.size(3));
    }

    static void checkHeads(long heads, long keyHeads) {
      Check.require(
          keyHeads > 0 && heads % keyHeads == 0,
          "k has " + keyHeads + " heads, expected a divisor of q's " + heads);
    }

    static void checkSettings(AttentionSettings settings) {
      long window = settings.window();
      Check.finite("scale", settings.scale());
      Check.finite("soft_cap", settings.softCap());
      Check.require(
          settings.softCap() >= 0,
          "soft_cap is " + settings.softCap() + ", expected 0 (no cap) or more");
      Check.require(window >= 0, "window is " + window + ", expected 0 or more");
      Check.require(
          settings.mask() != Mask.FULL || window == 0,
          "window is " + window + " with a full mask, expected 0");
      Check.require(
          settings.mask() != Mask.CHUNKED || window > 0,
          "window is 0 with a chunked mask, expected 1 or more");
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

    /** Index of the query in logsumexp [B, H, L]. */
    int sum(int b, int i, int h) {
      return (b * heads + h) * length + i;
    }

    /** Scores of all L keys, then of the sink; minus infinity for masked keys and absent sinks. */
    double[] scores(AttentionSettings settings, Rows rows, int b, int i, int h) {
      double[] scores = new double[length + 1];
      for (int j = 0; j < length; j++) {
        boolean seen = settings.mask() == Mask.FULL || (j <= i && j >= settings.firstSeen(i));
        scores[j] =
            seen
                ? Vectors.softCap(
                    settings.scale() * Vectors.dot(rows.q[query(b, i, h)], rows.k[key(b, j, h)]),
                    settings.softCap())
                : Double.NEGATIVE_INFINITY;
      }
      scores[length] = rows.sinks == null ? Double.NEGATIVE_INFINITY : rows.sinks[h];
      return scores;
    }
  }
}
