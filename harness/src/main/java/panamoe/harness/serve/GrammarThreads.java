package panamoe.harness.serve;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * The few threads that make grammars: schemas that take long leave processors to everything else.
 * Thread-safe.
 */
final class GrammarThreads {
  private static final int QUEUE = 64;
  // About what the longest grammar takes.
  private static final long RETRY_MILLIS = 500;
  private static final long POLL_MILLIS = 50;

  private final ThreadPoolExecutor threads;

  /** With half of the processors' threads, which end when they are idle. */
  GrammarThreads() {
    this(Math.max(1, Runtime.getRuntime().availableProcessors() / 2), QUEUE);
  }

  /**
   * @param queue most grammars that wait for a thread
   */
  GrammarThreads(int count, int queue) {
    threads =
        new ThreadPoolExecutor(
            count,
            count,
            1,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(queue),
            Thread.ofPlatform().daemon().name("grammar-", 0).factory());
    threads.allowCoreThreadTimeOut(true);
  }

  /**
   * Makes a grammar while its request waits. It is cancelled when the request's thread is
   * interrupted, or its client has left.
   *
   * @throws ApiError 429 if too many wait; else what making it throws
   * @throws InterruptedException also if the client has left
   */
  <T> T make(Supplier<T> grammar, BooleanSupplier left) throws InterruptedException {
    FutureTask<T> made = new FutureTask<>(grammar::get);
    try {
      threads.execute(made);
    } catch (RejectedExecutionException _) {
      throw ApiError.overloaded("too many schemas wait to be read", RETRY_MILLIS, true);
    }
    try {
      while (true) {
        try {
          return made.get(POLL_MILLIS, TimeUnit.MILLISECONDS);
        } catch (TimeoutException _) {
          if (left.getAsBoolean()) {
            throw new InterruptedException("the client has left");
          }
        }
      }
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new AssertionError(e.getCause());
      }
    } finally {
      made.cancel(true); // nothing if it is made
      threads.remove(made); // so that it holds no place for others
    }
  }
}
