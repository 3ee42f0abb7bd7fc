package panamoe.comm.exchange;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A second thread of a rank: it communicates while the rank computes, such as the residual branch
 * of a layer. Communications run in the order in which they were started, so ranks that start them
 * in the same order run them in the same order.
 *
 * <p>Until a communication is awaited, the rank's own thread must not use its communicators and
 * tensors.
 */
public final class Background implements AutoCloseable {
  /** A started communication. Closing it waits for its end, so that no tensor in use is freed. */
  public static final class Pending implements AutoCloseable {
    private final Future<?> future;

    private Pending(Future<?> future) {
      this.future = future;
    }

    /** Waits for its end and rethrows its exception. */
    public void await() {
      settle();
      switch (future.state() == Future.State.FAILED ? future.exceptionNow() : null) {
        case null -> {}
        case RuntimeException failure -> throw failure;
        case Error failure -> throw failure;
        case Throwable failure -> throw new IllegalStateException(failure);
      }
    }

    /** Waits for the end, successful or not. */
    public void settle() {
      Background.settle(future);
    }

    @Override
    public void close() {
      await();
    }
  }

  // Null: a communication runs on the thread that starts it.
  private final ExecutorService thread;

  /**
   * @param name of the thread, such as {@code rank 3 communication}
   */
  public Background(String name) {
    this(Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name(name).factory()));
  }

  private Background(ExecutorService thread) {
    this.thread = thread;
  }

  /** No second thread: a communication is complete when {@link #start} returns. */
  public static Background none() {
    return new Background((ExecutorService) null);
  }

  public Pending start(Runnable communication) {
    if (thread == null) {
      communication.run();
      return new Pending(CompletableFuture.completedFuture(null));
    }
    return new Pending(thread.submit(communication));
  }

  /** Ends the thread after all started communications. */
  @Override
  public void close() {
    if (thread != null) {
      thread.close();
    }
  }

  private static void settle(Future<?> future) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          future.get();
          return;
        } catch (InterruptedException e) {
          // The tensors are in use until the end, at the latest after the communicator's timeout.
          interrupted = true;
        } catch (ExecutionException _) {
          return;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
