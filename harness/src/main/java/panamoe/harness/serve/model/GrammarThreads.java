package panamoe.harness.serve.model;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import panamoe.harness.serve.http.ApiError;

/** A small thread pool for making grammars, so that they do not take all cores. Thread-safe. */
final class GrammarThreads {
  private static final int QUEUE = 64;
  // About the time of the longest grammar.
  private static final long RETRY_MILLIS = 500;

  private final ThreadPoolExecutor threads;

  /** With half of the processors; idle threads end. */
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
   * Makes a grammar while its request waits. It is cancelled if the request's thread is
   * interrupted.
   *
   * @throws ApiError 429 if too many wait, and the task's own errors
   */
  <T> T make(Supplier<T> grammar) throws InterruptedException {
    FutureTask<T> made = new FutureTask<>(grammar::get);
    try {
      threads.execute(made);
    } catch (RejectedExecutionException _) {
      throw ApiError.overloaded("too many schemas wait to be read", RETRY_MILLIS, true);
    }
    try {
      return made.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new AssertionError(e.getCause());
      }
    } finally {
      made.cancel(true); // no effect if it is done
      threads.remove(made); // frees its slot in the queue
    }
  }
}
