package panamoe.text;

import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.function.Consumer;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * A completion that a {@link TextService} generates. Its pieces have one reader: a subscriber of
 * {@link #pieces}, or a thread that calls {@link #next}; {@link #result} does not depend on them.
 * Any thread may call it.
 *
 * <p>It is generated whether its pieces are read or not: what nobody has read yet is kept, at most
 * the request's maximum number of tokens.
 */
public final class TextCompletion {
  private final Runnable requireOutside;
  private final PieceQueue pieces = new PieceQueue(this::cancel);
  private final CompletableFuture<GenerationResult> result = new CompletableFuture<>();
  private Runnable canceller; // null before the engine has it
  private boolean cancelled;
  private String aborted; // why; null if it was not
  private volatile GenerationResult whole; // null if it fails
  private volatile boolean ended; // `result` has it a moment later, from another thread

  /**
   * @param requireOutside refuses a wait inside a call of the device
   */
  TextCompletion(Runnable requireOutside) {
    this.requireOutside = requireOutside;
    result.whenComplete(
        (_, failure) -> {
          if (failure instanceof CancellationException) {
            cancel(); // by the caller: the future is never completed with one here
          }
        });
  }

  /**
   * The pieces, for one subscriber, which may come at any time and gets all of them. It is called
   * by a virtual thread, one call at a time, never by the engine's: it may take its time, and
   * requests as many as it likes. If it cancels, throws, or requests none or fewer, the completion
   * is cancelled. {@code onError} gets what {@link #result} throws.
   */
  public Flow.Publisher<TextPiece> pieces() {
    return pieces;
  }

  /**
   * The whole completion. Cancelling the future cancels the completion. It fails with
   *
   * <ul>
   *   <li>{@link panamoe.api.PanamoeException.Diverged} if the model's values are not finite,
   *   <li>{@link IllegalStateException} if the service or the model was closed before the
   *       completion ended, or the engine failed.
   * </ul>
   *
   * Functions that depend on it run on a virtual thread.
   */
  public CompletableFuture<GenerationResult> result() {
    return result;
  }

  /**
   * Waits for the next piece; empty when the completion has ended. If the thread is interrupted,
   * the completion is cancelled, and the interrupt status stays set.
   *
   * @throws RuntimeException the failure of {@link #result}
   * @throws IllegalStateException also if a subscriber gets the pieces, or this thread is inside a
   *     call of the model's device
   */
  public Optional<TextPiece> next() {
    Optional<TextPiece> next = uninterrupted(pieces::take);
    if (next.isEmpty()) {
      join(); // throws the failure
    }
    return next;
  }

  /**
   * Waits for the end, and gives the pieces to {@code onPiece} on this thread. An exception that it
   * throws cancels the completion and reaches the caller. Interruption is like that of {@link
   * #next}.
   *
   * @throws RuntimeException like {@link #next}
   */
  public GenerationResult forEach(Consumer<TextPiece> onPiece) {
    Failures.translating(() -> Argument.notNull("onPiece", onPiece));
    try {
      for (Optional<TextPiece> next = next(); next.isPresent(); next = next()) {
        onPiece.accept(next.get());
      }
    } catch (RuntimeException | Error e) {
      cancel();
      throw e;
    }
    return join();
  }

  /**
   * Waits for the end. Interruption is like that of {@link #next}.
   *
   * @throws RuntimeException like {@link #next}
   */
  public GenerationResult join() {
    try {
      return uninterrupted(result::get);
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw e;
      }
    }
  }

  /** A wait. */
  @FunctionalInterface
  private interface Wait<T> {
    T get() throws InterruptedException, ExecutionException;
  }

  private <T> T uninterrupted(Wait<T> wait) {
    requireOutside.run();
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return wait.get();
        } catch (InterruptedException _) {
          interrupted = true;
          cancel();
        } catch (ExecutionException e) {
          throw new CompletionException(e.getCause());
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Ends the completion before its next token, with {@link FinishReason#CANCELLED}; pieces that
   * were computed can still be read. Idempotent.
   */
  public void cancel() {
    synchronized (this) {
      cancelled = true;
    }
    endSoon();
  }

  /** Ends the completion before its next token as failed. */
  void abort(String why) {
    synchronized (this) {
      aborted = why;
    }
    endSoon();
  }

  private void endSoon() {
    Runnable now;
    synchronized (this) {
      now = cancelled || aborted != null ? canceller : null;
    }
    if (now != null) {
      now.run();
    }
  }

  /** The engine has the request. */
  void begun(Runnable cancel) {
    synchronized (this) {
      canceller = cancel;
    }
    endSoon();
  }

  /** Whether it was cancelled: by a caller, an interrupt or its subscriber. */
  public synchronized boolean isCancelled() {
    return cancelled;
  }

  /** Why it was aborted; null if it was not. */
  synchronized String aborted() {
    return aborted;
  }

  /** Whether it has ended: true once its reader knows. */
  boolean hasEnded() {
    return ended || result.isDone();
  }

  /** The result once it has ended; null if it failed. */
  GenerationResult whole() {
    return whole;
  }

  void put(TextPiece piece) {
    pieces.put(piece);
  }

  void end(GenerationResult generated) {
    whole = generated;
    ended = true;
    pieces.end(null);
    result.completeAsync(() -> generated, Thread::startVirtualThread);
  }

  void fail(Throwable failure) {
    ended = true;
    pieces.end(failure);
    Thread.startVirtualThread(() -> result.completeExceptionally(failure));
  }
}
