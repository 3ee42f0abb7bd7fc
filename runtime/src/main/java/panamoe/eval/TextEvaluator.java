package panamoe.eval;

import java.util.Arrays;
import java.util.concurrent.CancellationException;
import panamoe.backend.Backend;
import panamoe.data.TokenSequences.Filled;
import panamoe.data.TokenWindows;
import panamoe.data.TrainingData;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Measures how well a model predicts text: the cross-entropy of each token, given the tokens before
 * it in its sequence. Deterministic. Used by one thread.
 *
 * @param model for training or packed for inference; gates with a capacity drop tokens here too
 */
public record TextEvaluator(Backend backend, LanguageModel model) {
  private static final int TOKENS_AT_A_TIME = 2048;

  @FunctionalInterface
  public interface Source {
    /**
     * Fills a batch with sequences, starting at number {@code first}.
     *
     * @param ids INT32 [n*L]
     * @param targets INT32 [n*L], -1 does not count
     */
    Filled fill(long first, Tensor ids, Tensor targets);
  }

  /**
   * The score of a text.
   *
   * @param windows at most as long as the model's context
   * @throws IllegalArgumentException if a token's likelihood is not a finite number
   * @throws CancellationException if the thread is interrupted
   */
  public TextScore measure(TokenWindows windows) {
    return measure(windows, RouteObserver.NONE);
  }

  /** Like {@link #measure(TokenWindows)}; {@code observer} receives every gate's routes. */
  public TextScore measure(TokenWindows windows, RouteObserver observer) {
    long atOnce = Math.max(1, TOKENS_AT_A_TIME / windows.length());
    TextScore score = TextScore.NONE;
    for (long first = 0; first < windows.count(); first += atOnce) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the evaluation was interrupted");
      }
      long sequences = Math.min(atOnce, windows.count() - first);
      score = score.plus(batch(windows::fill, first, sequences, windows.length(), observer));
    }
    if (!Double.isFinite(score.nats())) {
      throw new NotFinite("");
    }
    return score;
  }

  /**
   * The score of one batch of {@code sequences} of L tokens. Collective over the model's ranks,
   * each with its own sequences.
   *
   * @param observer receives every gate's routes
   */
  public TextScore batch(
      Source source, long first, long sequences, int length, RouteObserver observer) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, sequences * length);
      Tensor targets = scope.allocate(DType.INT32, ids.shape());
      Filled filled = source.fill(first, ids, targets);
      Pass pass = Pass.inference(backend, scope).observedBy(observer);
      Sequences whole = Sequences.Whole.packed(scope, length, filled.texts());
      Tensor hidden = model.forward(pass, ids, whole, filled.used(scope), false);
      Tensor losses = model.head().losses(pass, hidden, targets, 0);
      long tokens =
          Arrays.stream(targets.toInts())
              .filter(target -> target != TrainingData.NO_TARGET)
              .count();
      return new TextScore(losses.sum(), tokens, filled.bytes());
    }
  }
}
