package panamoe.quantize;

import java.util.Arrays;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ForkJoinPool;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.data.TokenWindows;
import panamoe.data.TrainingData;
import panamoe.eval.TextScore;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Divergence of a model's predictions from its source's on a text.
 *
 * @param before the source's score
 * @param after the other's
 * @param nats mean Kullback-Leibler divergence of a token's distribution from the source's
 */
public record Divergence(TextScore before, TextScore after, double nats) {
  private static final int TOKENS_AT_A_TIME = 2048;

  /** The rise of the cross-entropy, as a part of the source's. */
  public double loss() {
    return after.nats() / before.nats() - 1;
  }

  /** Logits of one model per comparison: 64 MiB. */
  private static final int MOST_LOGITS = 1 << 24;

  /** Sums in nats: the cross-entropies of the source and the other, and the divergence. */
  private record Sums(double before, double after, double divergence) {
    Sums plus(Sums other) {
      return new Sums(before + other.before, after + other.after, divergence + other.divergence);
    }
  }

  /**
   * Runs both models over a text, and compares them, on the backend's threads.
   *
   * @param most tokens, up to the end of the window of the last one
   * @param progress gets the finished part, 0 to 1
   * @throws IllegalArgumentException if a model gives numbers that are not finite, or no byte of
   *     the text is predicted
   * @throws CancellationException if the thread is interrupted
   */
  public static Divergence of(
      Backend backend,
      LanguageModel source,
      LanguageModel other,
      TokenWindows windows,
      long most,
      DoubleConsumer progress) {
    int length = windows.length();
    long all = Math.min(windows.count(), Math.ceilDiv(most, (long) length));
    long atOnce = Math.max(1, TOKENS_AT_A_TIME / length);
    Sums sums = new Sums(0, 0, 0);
    long tokens = 0;
    long bytes = 0;
    try (ForkJoinPool pool = new ForkJoinPool(backend.threads())) {
      for (long first = 0; first < all; first += atOnce) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException("the measurement was interrupted");
        }
        try (TensorScope scope = TensorScope.confined(backend)) {
          Tensor ids = scope.allocate(DType.INT32, Math.min(atOnce, all - first) * length);
          Tensor targets = scope.allocate(DType.INT32, ids.shape());
          bytes += windows.fill(first, ids, targets).bytes();
          int[] next = targets.toInts();
          tokens += IntStream.of(next).filter(it -> it != TrainingData.NO_TARGET).count();
          Pass pass = Pass.inference(backend, scope);
          Sequences whole = Sequences.Whole.of(scope, ids.count(), length);
          Tensor ours = source.forward(pass, ids, whole, null, false);
          Tensor theirs = other.forward(pass, ids, whole, null, false);
          source.config().requireGeneration();
          int vocabulary = source.config().vocabulary();
          int rows = Math.max(1, MOST_LOGITS / vocabulary);
          for (int from = 0; from < next.length; from += rows) {
            int end = Math.min(next.length, from + rows);
            float[] here = logits(pass, source, ours, from, end);
            float[] there = logits(pass, other, theirs, from, end);
            int[] following = Arrays.copyOfRange(next, from, end);
            sums = sums.plus(pool.submit(() -> compared(here, there, following)).join());
          }
        }
        progress.accept((double) Math.min(all, first + atOnce) / all);
      }
    }
    Require.that(
        bytes != 0, "the held-out text is too short: no byte of it follows its first token");
    if (!Double.isFinite(sums.before + sums.after + sums.divergence)) {
      throw new NotFinite("");
    }
    return new Divergence(
        new TextScore(sums.before, tokens, bytes),
        new TextScore(sums.after, tokens, bytes),
        sums.divergence / tokens);
  }

  private static float[] logits(Pass pass, LanguageModel model, Tensor hidden, int from, int end) {
    Tensor logits = model.head().logits(pass, hidden.rows(from, end));
    pass.backend().synchronize();
    float[] values = logits.toFloats();
    logits.release();
    return values;
  }

  /**
   * The sums of tokens with given logits, computed in the current thread pool.
   *
   * @param next the tokens that follow them
   */
  private static Sums compared(float[] ours, float[] theirs, int[] next) {
    int vocabulary = ours.length / next.length;
    Sums[] byToken = new Sums[next.length];
    IntStream.range(0, byToken.length)
        .parallel()
        .forEach(
            i -> {
              int target = next[i];
              int at = i * vocabulary;
              byToken[i] =
                  target == TrainingData.NO_TARGET
                      ? new Sums(0, 0, 0)
                      : compared(ours, theirs, at, vocabulary, target);
            });
    Sums sums = new Sums(0, 0, 0);
    for (Sums one : byToken) { // in order, independent of threads
      sums = sums.plus(one);
    }
    return sums;
  }

  private static Sums compared(float[] ours, float[] theirs, int at, int vocabulary, int target) {
    double ourNorm = norm(ours, at, vocabulary);
    double theirNorm = norm(theirs, at, vocabulary);
    double divergence = 0;
    for (int i = at; i < at + vocabulary; i++) {
      double ourLog = ours[i] - ourNorm;
      divergence += Math.exp(ourLog) * (ourLog - (theirs[i] - theirNorm));
    }
    return new Sums(ourNorm - ours[at + target], theirNorm - theirs[at + target], divergence);
  }

  /** The logarithm of the sum of exponentials. */
  private static double norm(float[] logits, int at, int vocabulary) {
    double most = Double.NEGATIVE_INFINITY;
    for (int i = at; i < at + vocabulary; i++) {
      most = Math.max(most, logits[i]);
    }
    double sum = 0;
    for (int i = at; i < at + vocabulary; i++) {
      sum += Math.exp(logits[i] - most);
    }
    return most + Math.log(sum);
  }
}
