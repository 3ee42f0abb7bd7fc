package panamoe.harness.ranks;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * Runs work on a separate thread that is asked to stop, because an interrupt would break a file
 * that is being written. The calling thread waits and turns its interrupt into that request.
 */
public final class Stoppable {
  @FunctionalInterface
  public interface Work<T> {
    /**
     * @param stop whether the work should end soon
     */
    T run(BooleanSupplier stop) throws Exception;
  }

  private Stoppable() {}

  /**
   * @param name of the work's thread
   * @return the work's result, even if it was stopped
   * @throws Exception of the work
   */
  public static <T> T run(String name, Work<T> work) throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    FutureTask<T> task = new FutureTask<>(() -> work.run(stop::get));
    Thread.ofPlatform().daemon().name(name).start(task);
    while (true) {
      try {
        return task.get();
      } catch (InterruptedException _) {
        stop.set(true);
      } catch (ExecutionException e) {
        switch (e.getCause()) {
          case Exception failure -> throw failure;
          case Error failure -> throw failure;
          case Throwable failure -> throw new IllegalStateException(failure);
        }
      }
    }
  }
}
