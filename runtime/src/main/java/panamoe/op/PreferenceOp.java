package panamoe.op;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import panamoe.comm.Communicator;
import panamoe.io.Require;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * Direct preference optimisation (arXiv 2305.18290). The loss of a pair of answers is {@code -log
 * sigmoid(z)} with the margin {@code z = beta ((log p(chosen) - log q(chosen)) - (log p(rejected) -
 * log q(rejected)))}, of a model p and its reference q. Texts that have targets are answers: a
 * chosen one, its rejected one, the next chosen one; only targets count.
 */
public final class PreferenceOp {
  private PreferenceOp() {}

  /**
   * @param beta more than 0
   * @param logProbabilities log q of the answers, in nats
   */
  public record Reference(double beta, double[] logProbabilities) {}

  /**
   * Sums over pairs.
   *
   * @param nats cross-entropy of all answers
   * @param loss in nats
   * @param margin z
   * @param right pairs whose z is more than 0
   */
  public record Sums(double nats, double loss, double margin, double right) {
    public Sums plus(Sums other) {
      return new Sums(
          nats + other.nats, loss + other.loss, margin + other.margin, right + other.right);
    }

    /** Over all members. */
    public Sums over(Communicator ranks) {
      return new Sums(
          ranks.allReduce(nats),
          ranks.allReduce(loss),
          ranks.allReduce(margin),
          ranks.allReduce(right));
    }
  }

  /** A head's cross-entropies, which record their gradient. */
  public interface TokenLosses {
    /**
     * @param hidden [S, M]
     * @param targets INT32 [S], -1 does not count
     * @param dloss derivative of the objective by each token's loss
     * @return FLOAT32 [S], nats
     */
    Tensor of(Pass pass, Tensor hidden, Tensor targets, float dloss);
  }

  /**
   * @param from the first row with a target
   * @param to behind the last one
   */
  private record Answer(long from, long to) {}

  /**
   * Sums over the pairs in a batch; the pass records the gradient of {@code dloss} times their
   * loss. A pair whose margin is not finite has no gradient.
   *
   * @param hidden [S, M]
   * @param texts their lengths in rows, S in all
   * @param targets INT32 [S], -1 does not count
   */
  public static Sums forward(
      Pass pass,
      TokenLosses head,
      Tensor hidden,
      int[] texts,
      Tensor targets,
      Reference reference,
      double dloss) {
    Pass plain = pass.recording() ? Pass.inference(pass.backend(), pass.scope()) : pass;
    Tensor losses = head.of(plain, hidden, targets, 0);
    double[] own = logProbabilities(losses, targets, texts);
    double[] given = reference.logProbabilities;
    List<Answer> answers = answers(targets, texts);
    Require.that(
        answers.size() % 2 == 0 && given.length == answers.size(),
        "there are %s answers and %s numbers of a reference, expected two of each for every pair",
        answers.size(),
        given.length);
    Sums sums = new Sums(losses.sum(), 0, 0, 0);
    float[] slopes = new float[answers.size()];
    for (int i = 0; i < slopes.length; i += 2) {
      double z = reference.beta * (own[i] - given[i] - (own[i + 1] - given[i + 1]));
      sums = sums.plus(new Sums(0, softplus(-z), z, z > 0 ? 1 : 0));
      slopes[i] = (float) (dloss * reference.beta / (1 + Math.exp(z)));
      slopes[i + 1] = -slopes[i];
    }
    if (pass.recording()) {
      record(pass, head, hidden, targets, answers, slopes);
    }
    return sums;
  }

  /** Records the gradients of the answers' cross-entropies, each with a factor of its own. */
  private static void record(
      Pass pass,
      TokenLosses head,
      Tensor hidden,
      Tensor targets,
      List<Answer> answers,
      float... slopes) {
    Tensor dhidden = pass.scope().zeros(hidden.dtype(), hidden.shape());
    pass.record(() -> pass.tape().addGradient(hidden, dhidden));
    for (int i = 0; i < slopes.length; i++) {
      Answer answer = answers.get(i);
      if (Float.isFinite(slopes[i])) {
        Tensor rows = hidden.rows(answer.from, answer.to);
        // Another tensor over the same memory, so that the answer has a gradient of its own.
        Tensor own = pass.scope().over(rows.address(), rows.dtype(), rows.shape());
        pass.record(
            () -> {
              Tensor drows = pass.tape().takeGradient(own);
              pass.backend().copy(drows, dhidden.rows(answer.from, answer.to));
              drows.owner().release();
            });
        head.of(pass, own, targets.rows(answer.from, answer.to), slopes[i]);
      }
    }
  }

  /** {@code log(1 + e^x)}. */
  private static double softplus(double x) {
    return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  }

  /**
   * The log-probabilities of the answers in a batch, in nats: the sums of their targets'. Arguments
   * as in {@link #forward}.
   *
   * @param pass that records nothing
   */
  public static double[] logProbabilities(
      Pass pass, TokenLosses head, Tensor hidden, int[] texts, Tensor targets) {
    return logProbabilities(head.of(pass, hidden, targets, 0), targets, texts);
  }

  private static double[] logProbabilities(Tensor losses, Tensor targets, int... texts) {
    MemorySegment each = HostView.elements(losses);
    return answers(targets, texts).stream()
        .mapToDouble(
            answer -> {
              double sum = 0;
              for (long row = answer.from; row < answer.to; row++) {
                sum -= each.getAtIndex(ValueLayout.JAVA_FLOAT, row); // 0 without a target
              }
              return sum;
            })
        .toArray();
  }

  private static List<Answer> answers(Tensor targets, int... texts) {
    MemorySegment ids = HostView.elements(targets);
    List<Answer> answers = new ArrayList<>();
    long begin = 0;
    for (int text : texts) {
      long from = begin;
      long to = begin + text;
      while (from < to && ids.getAtIndex(ValueLayout.JAVA_INT, from) < 0) {
        from++;
      }
      while (from < to && ids.getAtIndex(ValueLayout.JAVA_INT, to - 1) < 0) {
        to--;
      }
      if (from < to) {
        answers.add(new Answer(from, to));
      }
      begin += text;
    }
    return answers;
  }
}
