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
 * Drives an engine on a thread of its own, which sleeps while there is nothing to write. An
 * exception of a listener ends its text alone. Thread-safe.
 */
public final class EngineThread implements AutoCloseable {
  /**
   * What the engine does.
   *
   * @param running texts that have room
   * @param waiting texts that wait for room
   * @param rows tokens that the latest step computed
   * @param usage the part of the cache that running texts use, 0 to 1
   * @param interruptions how often a text had to make room for another one
   */
  public record Status(int running, int waiting, int rows, double usage, long interruptions) {}

  private static final long IDLE_NANOS = 2_000_000_000L;

  private final Engine engine;
  private final Consumer<Status> afterStep;
  private final Runnable onFailure;
  private final Thread thread;
  private final Object lock = new Object();
  // Guarded by the lock: the engine takes no text any more.
  private boolean over;
  private volatile boolean closing;
  private volatile Throwable failure;
  private volatile Status status = new Status(0, 0, 0, 0, 0);

  /**
   * Starts the thread.
   *
   * @param engine to drive and, in the end, to close
   * @param afterStep is told after each step, by the thread
   * @param onFailure runs when the engine has failed and all texts with it, by the thread
   */
  public EngineThread(Engine engine, Consumer<Status> afterStep, Runnable onFailure) {
    this.engine = engine;
    this.afterStep = afterStep;
    this.onFailure = onFailure;
    this.thread = Thread.ofPlatform().daemon().name("engine").start(this::drive);
  }

  /**
   * Asks for a text.
   *
   * @throws IllegalArgumentException like {@link Engine#submit}
   * @throws IllegalStateException if the engine has failed or is closed
   */
  public GenerationHandle submit(GenerationRequest request, GenerationListener listener) {
    return ask(() -> engine.submit(request, listener));
  }

  /**
   * As {@link Engine#routeStatistics}.
   *
   * @throws IllegalStateException if the engine has failed or is closed
   */
  public CompletableFuture<RouteStatistics> routeStatistics() {
    return ask(engine::routeStatistics);
  }

  private <T> T ask(Supplier<T> asked) {
    synchronized (lock) { // a text that is taken is in the engine before it closes
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
          LockSupport.parkNanos(this, IDLE_NANOS); // returns at once if a text came since
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

  /** Ends all texts as cancelled, after the step that is being computed, and closes the engine. */
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
