package panamoe.backend.reference;

import panamoe.backend.BalanceKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.io.Words;
import panamoe.tensor.Tensor;

/** Sums over the tokens of each sequence, in order, and the loss that they give. */
interface ReferenceBalance extends BalanceKernels, ReferenceContext {

  @Override
  default void balanceForward(Balance balance, Tensor scores, Tensor choice, Sums sums) {
    launch(
        () -> {
          check(balance, scores, sums);
          Check.tensor("choice", choice, Kind.INT32, scores.size(0), Check.ANY);
          Check.between("choices of a token", choice.size(1), balance.choices(), 16);
          int experts = Math.toIntExact(scores.size(1));
          Check.range("choice", choice, -1, experts);
          Check.tensor("sums.scores", sums.scores(), Kind.FLOAT64, sums.used().size(0), experts);
          Check.optional("entropy", sums.entropy(), Kind.FLOAT64, sums.used().size(0));
          long sequences = sums.used().size(0);
          for (long g = 0; g < sequences; g++) {
            long length = scores.size(0) / sequences;
            sum(balance, scores, choice, g * length, length, g, sums);
          }
        });
  }

  /** The sums of sequence g, whose tokens begin at {@code first}. */
  private static void sum(
      Balance balance, Tensor scores, Tensor choice, long first, long length, long g, Sums sums) {
    int experts = Math.toIntExact(scores.size(1));
    long topK = choice.size(1);
    int used = 0;
    int[] chosen = new int[experts];
    double[] total = new double[experts];
    double entropy = 0;
    for (long token = first; token < first + length; token++) {
      if (choice.getInt(token * topK) < 0) {
        continue;
      }
      used++;
      for (int k = 0; k < balance.choices(); k++) {
        int e = choice.getInt(token * topK + k);
        if (e >= 0) {
          chosen[e]++;
        }
      }
      float[] row = scores.rows(token, token + 1).toFloats();
      double all = Values.sum(row);
      for (int e = 0; e < experts && all > 0; e++) {
        double share = row[e] / all;
        total[e] += balance.normalized() ? share : row[e];
        entropy -= share > 0 ? share * Math.log(share) : 0;
      }
    }
    sums.used().setInt(g, used);
    for (int e = 0; e < experts; e++) {
      sums.chosen().setInt(g * experts + e, chosen[e]);
      sums.scores().setDouble(g * experts + e, total[e]);
    }
    if (sums.entropy() != null) {
      sums.entropy().setDouble(g, entropy);
    }
  }

  @Override
  default void balanceJoin(Tensor parts, Sums sums, Tensor z) {
    launch(
        () -> {
          Check.tensor("chosen", sums.chosen(), Kind.INT32, 1, Check.ANY);
          int experts = Math.toIntExact(sums.chosen().size(1));
          Check.between("experts of chosen", experts, 1, 1024);
          Check.tensor("used", sums.used(), Kind.INT32, 1);
          Check.tensor("sums.scores", sums.scores(), Kind.FLOAT64, 1, experts);
          Check.tensor("parts", parts, Kind.FLOAT64, Check.ANY, BatchPart.elements(experts));
          Check.tensor("z", z, Kind.FLOAT32, 1);
          int used = 0;
          int[] chosen = new int[experts];
          double[] scores = new double[experts];
          double square = 0;
          for (long p = 0; p < parts.size(0); p++) {
            BatchPart part = BatchPart.of(parts.rows(p, p + 1), experts);
            int tokens = part.sums().used().getInt(0);
            used += tokens;
            square += tokens == 0 ? 0 : tokens * (double) part.z().getFloat(0);
            for (int e = 0; e < experts; e++) {
              chosen[e] += part.sums().chosen().getInt(e);
              scores[e] += part.sums().scores().getDouble(e);
            }
          }
          sums.used().setInt(0, used);
          sums.chosen().set(chosen);
          for (int e = 0; e < experts; e++) {
            sums.scores().setDouble(e, scores[e]);
          }
          z.setFloat(0, used == 0 ? 0 : (float) (square / used));
        });
  }

  @Override
  default void balanceLoss(Balance balance, Sums sums, long sequences, Tensor loss) {
    launch(
        () -> {
          check(balance);
          Check.tensor("used", sums.used(), Kind.INT32, Check.ANY);
          Check.tensor("chosen", sums.chosen(), Kind.INT32, sums.used().count(), Check.ANY);
          int experts = Math.toIntExact(sums.chosen().size(1));
          Check.between("experts of chosen", experts, 1, 1024);
          Check.tensor("sums.scores", sums.scores(), Kind.FLOAT64, sums.used().count(), experts);
          Check.between("sequences", sequences, 1, Long.MAX_VALUE);
          Check.tensor("loss", loss, Kind.FLOAT32, 1);
          double total = 0;
          for (long g = 0; g < sums.used().count(); g++) {
            double used = sums.used().getInt(g);
            for (long i = g * experts; i < (g + 1) * experts && used > 0; i++) {
              double slope =
                  sums.chosen().getInt(i) * (experts / (used * used * balance.choices()));
              total += slope * sums.scores().getDouble(i);
            }
          }
          loss.setFloat(0, (float) (total / sequences));
        });
  }

  /**
   * With p = score / sum(score) if normalized: {@code (d - sum(d p)) p} by the logarithm of a
   * score, times the slope of that. Scores that are neither normalized nor shares do not depend on
   * each other.
   */
  @Override
  default void balanceBackward(
      Balance balance, double dloss, Tensor scores, Sums sums, Tensor dlogits) {
    launch(
        () -> {
          check(balance, scores, sums);
          Check.require(Double.isFinite(dloss), "dloss is " + dloss + ", expected a finite number");
          int experts = Math.toIntExact(scores.size(1));
          Check.tensor("dlogits", dlogits, Kind.FLOAT32, scores.size(0), experts);
          Check.disjoint("dlogits", dlogits, "scores", scores);
          for (long token = 0; token < scores.size(0); token++) {
            long g = token / (scores.size(0) / sums.used().size(0));
            double used = sums.used().getInt(g);
            float[] row = scores.rows(token, token + 1).toFloats();
            double all = balance.normalized() ? Values.sum(row) : 1;
            double[] d = new double[experts]; // of the loss by p
            double mean = 0;
            for (int e = 0; e < experts && all > 0 && used > 0; e++) {
              d[e] =
                  sums.chosen().getInt(g * experts + e)
                      * (experts / (used * used * balance.choices()));
              mean += d[e] * row[e] / all;
            }
            double others = balance.normalized() || balance.score().isShare() ? mean : 0;
            for (int e = 0; e < experts; e++) {
              double dlog = all > 0 ? dloss * (d[e] - others) * row[e] / all : 0;
              double slope = GateScores.logSlope(balance.score(), row[e]);
              dlogits.setFloat(token * experts + e, (float) (dlog * slope));
            }
          }
        });
  }

  private static void check(Balance balance) {
    Check.require(balance != null, "balance is null");
    Check.between("choices", balance.choices(), 1, 16);
  }

  private static void check(Balance balance, Tensor scores, Sums sums) {
    check(balance);
    Check.tensor("scores", scores, Kind.FLOAT32, Check.ANY, Check.ANY);
    Check.between("experts of scores", scores.size(1), 1, 1024);
    Check.tensor("used", sums.used(), Kind.INT32, Check.ANY);
    long sequences = sums.used().size(0);
    Check.require(
        sequences == 0 ? scores.size(0) == 0 : scores.size(0) % sequences == 0,
        Words.of(
            "scores has %s tokens, which are not %s equal sequences", scores.size(0), sequences));
    Check.tensor("chosen", sums.chosen(), Kind.INT32, sequences, scores.size(1));
  }
}
