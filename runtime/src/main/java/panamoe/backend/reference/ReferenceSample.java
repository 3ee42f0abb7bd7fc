package panamoe.backend.reference;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.SampleKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** Samples from a sorted list of tokens. */
interface ReferenceSample extends SampleKernels, ReferenceContext {
  /** A weight below half of 1 / this, relative to the best token's, counts as 0. */
  double PARTS = 0x1p32;

  @Override
  default void sample(Sampling sampling, Tensor logits) {
    launch(
        () -> {
          check(sampling, logits);
          double[][] rows = Values.readRows(logits);
          for (int s = 0; s < rows.length; s++) {
            sampling.tokens().setInt(s, token(rows[s], sampling, s));
          }
        });
  }

  private static void check(Sampling sampling, Tensor logits) {
    Check.tensor("logits", logits, Kind.FLOAT32, Check.ANY, Check.ANY);
    long rows = logits.size(0);
    long classes = logits.size(1);
    Check.require(
        classes >= 1 && classes <= 1 << 21,
        () -> "there are " + classes + " classes, expected 1 to " + (1 << 21));
    Check.tensor("temperature", sampling.temperature(), Kind.FLOAT32, rows);
    Check.tensor("min_p", sampling.minP(), Kind.FLOAT32, rows);
    Check.tensor("top_k", sampling.topK(), Kind.INT32, rows);
    Check.tensor("top_p", sampling.topP(), Kind.FLOAT32, rows);
    Check.tensor("uniform", sampling.uniform(), Kind.FLOAT64, rows);
    Check.tensor("tokens", sampling.tokens(), Kind.INT32, rows);
  }

  private static int token(double[] logits, Sampling sampling, int row) {
    double temperature = sampling.temperature().getFloat(row);
    double minP = sampling.minP().getFloat(row);
    int topK = sampling.topK().getInt(row);
    double topP = sampling.topP().getFloat(row);
    double uniform = sampling.uniform().getDouble(row);
    boolean valid =
        (temperature == 0 || temperature >= Float.MIN_NORMAL && temperature <= Float.MAX_VALUE)
            && (minP >= 0 && minP <= 1)
            && topK >= 0
            && (topP >= 0 && topP <= 1)
            && (uniform >= 0 && uniform < 1);
    for (double logit : logits) {
      valid &= Double.isFinite(logit);
    }
    if (!valid) {
      return -1;
    }
    // Adding 0 turns -0, which a comparator takes for less than 0, into 0.
    List<Integer> order =
        IntStream.range(0, logits.length)
            .boxed()
            .sorted(Comparator.comparingDouble(token -> -(logits[token] + 0)))
            .toList();
    double best = logits[order.getFirst()];
    if (temperature == 0) {
      return order.getFirst();
    }
    double[] sums = new double[logits.length];
    double sum = 0;
    int left = 0;
    for (int token : order) {
      double weight = Math.rint(PARTS * Math.exp((logits[token] - best) / temperature));
      if (weight < Math.max(1, PARTS * minP) || topK > 0 && left == topK) {
        break;
      }
      sum += weight;
      sums[left++] = sum;
    }
    while (left > 1 && sums[left - 2] >= topP * sum) {
      left--;
    }
    int place = 0;
    while (sums[place] <= uniform * sums[left - 1]) {
      place++;
    }
    return order.get(place);
  }
}
