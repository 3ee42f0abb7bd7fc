package panamoe.engine.schedule;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.routes.RouteStatistics;

/**
 * Drives an engine on its own thread, which sleeps while there is no work. An exception of a
 * listener ends only its own sequence. Thread-safe.
 */
public final class EngineThread implements AutoCloseable {
  /**
   * The engine's load.
   *
   * @param running sequences that run
   * @param waiting sequences in the queue
   * @param rows rows of the latest step
   * @param usage the part of the cache that running sequences use, 0 to 1
   * @param interruptions how often a sequence was preempted
   */
  public record Status(int running, int waiting, int rows, double usage, long interruptions) {}

  private static final long IDLE_NANOS = 2_000_000_000L;

  private final Engine engine;
  private final Consumer<Status> afterStep;
  private final Runnable onFailure;
  private final Thread thread;
  private final Object lock = new Object();
  // Guarded by the lock: the engine takes no more requests.
  private boolean over;
  private volatile boolean closing;
  private volatile Throwable failure;
  private volatile Status status = new Status(0, 0, 0, 0, 0);

  /**
   * Starts the thread.
   *
   * @param engine to drive, and to close at the end
   * @param afterStep called after each step, on the engine's thread
   * @param onFailure called after the engine and all its sequences have failed, on its thread
   */
  public EngineThread(Engine engine, Consumer<Status> afterStep, Runnable onFailure) {
    this.engine = engine;
    this.afterStep = afterStep;
    this.onFailure = onFailure;
    this.thread = Thread.ofPlatform().daemon().name("engine").start(this::drive);
  }

  /**
   * Submits a request.
   *
   * @throws IllegalArgumentException like {@link Engine#submit}
   * @throws IllegalStateException if the engine has failed or is closed
   */
  public GenerationHandle submit(GenerationRequest request, GenerationListener listener) {
    return ask(() -> engine.submit(request, listener));
  }

  /**
   * Like {@link Engine#routeStatistics}.
   *
   * @throws IllegalStateException if the engine has failed or is closed
   */
  public CompletableFuture<RouteStatistics> routeStatistics() {
    return ask(engine::routeStatistics);
  }

  private <T> T ask(Supplier<T> asked) {
    synchronized (lock) { // a request is in the engine before the engine closes
      if (over || closing) {
        throw new IllegalStateException("the engine is closed", failure);
      }
      T taken = asked.get();
      LockSupport.unpark(thread);
      return taken;
    }
  }

  public Status status() {
    return status;
  }

  /** Whether it takes requests. An engine that has failed or is closed never takes any again. */
  public boolean alive() {
    return thread.isAlive() && !closing;
  }

  /** Why the engine failed; null if it did not. */
  public Throwable failure() {
    return failure;
  }

  private void drive() {
    try {
      while (!closing) {
        boolean more = engine.stepQuietly();
        status = engine.status();
        afterStep.accept(status);
        if (!more && !closing) {
          LockSupport.parkNanos(this, IDLE_NANOS); // returns at once if a request has come since
          engine.idle();
        }
      }
    } catch (RuntimeException | Error e) {
      failure = e;
    }
    synchronized (lock) {
      over = true;
    }
    try {
      engine.close();
    } catch (RuntimeException | Error e) {
      if (failure == null) {
        failure = e;
      } else {
        failure.addSuppressed(e);
      }
    }
    if (failure != null) {
      onFailure.run();
    }
  }

  /** Cancels all sequences after the current step, and closes the engine. */
  @Override
  public void close() {
    closing = true;
    LockSupport.unpark(thread);
    boolean interrupted = false;
    while (thread.isAlive()) { // the model's memory is in use until then
      try {
        thread.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
