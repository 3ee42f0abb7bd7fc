package panamoe.comm.exchange;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A thread beside a rank's own that talks to the other ranks while the rank computes, such as the
 * residual branch of its layer. What it is given it does in that order, so the order is the same on
 * all ranks if they start alike.
 *
 * <p>Until a communication is awaited, the rank's own thread keeps off the communicators and the
 * tensors in it.
 */
public final class Background implements AutoCloseable {
  /**
   * A communication that was started. Closing it awaits it, so that no tensor is freed under it.
   */
  public static final class Pending implements AutoCloseable {
    private final Future<?> future;

    private Pending(Future<?> future) {
      this.future = future;
    }

    /** Returns when it is done; throws what it threw. */
    public void await() {
      settle();
      switch (future.state() == Future.State.FAILED ? future.exceptionNow() : null) {
        case null -> {}
        case RuntimeException failure -> throw failure;
        case Error failure -> throw failure;
        case Throwable failure -> throw new IllegalStateException(failure);
      }
    }

    /** Returns when it is done, well or not. */
    public void settle() {
      Background.settle(future);
    }

    @Override
    public void close() {
      await();
    }
  }

  // Null: what is started is done at once, by the thread that starts it.
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

  /** No thread at all: what is started is done before {@link #start} returns, in the same order. */
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

  /** Ends the thread when it has done what was started. */
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
          // The tensors are in use until it is done, and that takes no longer than the
          // communicator's timeout.
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
