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
  private static final long NEVER = Long.MIN_VALUE;

  private final Engine engine;
  private final Consumer<Runnable> turns;
  private final boolean rests;
  private final Consumer<Status> afterStep;
  private final Runnable onFailure;
  private final Object lock = new Object();
  private Thread thread; // guarded by the lock; null while it rests
  private volatile boolean closing; // set under the lock: the engine takes no more requests
  private volatile boolean over; // and all its sequences have ended
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
    this(engine, new Alone(), false, afterStep, onFailure);
    synchronized (lock) {
      wake();
    }
  }

  /**
   * For an engine on a device that others use too. The thread starts with a request, and ends two
   * seconds after the last one.
   *
   * @param turns runs a step, or {@link #end}, as the device's only user
   */
  public EngineThread(Engine engine, Consumer<Runnable> turns) {
    this(engine, turns, true, _ -> {}, () -> {});
  }

  private EngineThread(
      Engine engine,
      Consumer<Runnable> turns,
      boolean rests,
      Consumer<Status> afterStep,
      Runnable onFailure) {
    this.engine = engine;
    this.turns = turns;
    this.rests = rests;
    this.afterStep = afterStep;
    this.onFailure = onFailure;
  }

  /** Turns of an engine that has its device to itself. */
  private static final class Alone implements Consumer<Runnable> {
    @Override
    public synchronized void accept(Runnable turn) {
      turn.run();
    }
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
      if (closing) {
        throw new IllegalStateException("the engine is closed", failure);
      }
      T taken = asked.get();
      wake();
      return taken;
    }
  }

  private void wake() {
    if (thread == null) {
      thread = Thread.ofPlatform().daemon().name("engine").start(this::drive);
    } else {
      LockSupport.unpark(thread);
    }
  }

  public Status status() {
    return status;
  }

  /** Whether it takes requests. An engine that has failed or is closed never takes any again. */
  public boolean alive() {
    return !over;
  }

  /** Why the engine failed; null if it did not. */
  public Throwable failure() {
    return failure;
  }

  private void drive() {
    try {
      long idleSince = NEVER;
      while (!closing) {
        boolean[] more = new boolean[1];
        turns.accept(() -> more[0] = step());
        long now = System.nanoTime();
        idleSince = more[0] ? NEVER : idleSince == NEVER ? now : idleSince;
        if (!more[0] && !closing) {
          if (now - idleSince >= IDLE_NANOS && rest()) {
            return;
          }
          LockSupport.parkNanos(this, IDLE_NANOS); // returns at once if a request has come since
          turns.accept(this::idle);
        }
      }
    } catch (RuntimeException | Error e) {
      if (!over) { // otherwise its turns have ended
        fail(e);
      }
    }
  }

  private boolean step() {
    if (closing) {
      return false; // closed while it waited for its turn
    }
    boolean more = engine.stepQuietly();
    status = engine.status();
    afterStep.accept(status);
    return more;
  }

  private void idle() {
    if (!closing) { // the other ranks have ended with the engine
      engine.idle();
    }
  }

  /** Lets the thread end, unless a request has come. */
  private boolean rest() {
    synchronized (lock) {
      if (!rests || engine.asked()) {
        return false;
      }
      thread = null;
      return true;
    }
  }

  private void fail(Throwable cause) {
    failure = cause;
    try {
      turns.accept(this::end);
    } catch (RuntimeException | Error e) {
      cause.addSuppressed(e);
    }
    onFailure.run();
  }

  /**
   * Cancels all sequences and closes the engine. Called within a turn; the thread then ends by
   * itself.
   */
  public void end() {
    synchronized (lock) {
      closing = true;
      LockSupport.unpark(thread);
    }
    try {
      engine.close();
    } finally {
      over = true;
    }
  }

  /** Cancels all sequences after the current step, closes the engine, and ends the thread. */
  @Override
  public void close() {
    synchronized (lock) {
      closing = true; // otherwise the thread might take every turn until it has no work
    }
    try {
      turns.accept(this::end);
    } catch (RuntimeException | Error e) {
      failure = failure == null ? e : failure;
    }
    Thread driver;
    synchronized (lock) {
      driver = thread;
    }
    boolean interrupted = false;
    while (driver != null && driver.isAlive()) {
      try {
        driver.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
