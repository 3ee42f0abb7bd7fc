package panamoe.comm.exchange;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A thread beside a rank's own that talks to the other ranks while the rank computes, such as the residual branch of
 * its layer. What it is given it does in that order, so the order is the same on all ranks if they start alike.
 *
 * <p>Until a communication is awaited, the rank's own thread keeps off the communicators and the tensors in it.
 */
public final class Background implements AutoCloseable {
  /** A communication that was started. Closing it awaits it, so that no tensor is freed under it. */
  public interface Pending extends AutoCloseable {
    /** Returns when it is done; throws what it threw. */
    void await();

    @Override
    default void close() {
      await();
    }
  }

  private final ExecutorService thread;

  /** @param name of the thread, such as {@code rank 3 communication} */
  public Background(String name) {
    this.thread = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name(name).factory());
  }

  public Pending start(Runnable communication) {
    Future<?> future = thread.submit(communication);
    return () -> await(future);
  }

  /** Ends the thread when it has done what was started. */
  @Override
  public void close() {
    thread.close();
  }

  private static void await(Future<?> future) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          future.get();
          return;
        } catch (InterruptedException e) {
          // The tensors are in use until it is done, and that takes no longer than the communicator's timeout.
          interrupted = true;
        } catch (ExecutionException e) {
          if (e.getCause() instanceof RuntimeException failure) {
            throw failure;
          }
          throw new IllegalStateException(e.getCause());
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
