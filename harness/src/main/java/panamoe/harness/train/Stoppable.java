package panamoe.harness.train;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/**
 * Work that is asked to stop and never interrupted: an interrupt would break the file that is just
 * being written. It has a thread of its own; the calling one waits, hears the interrupt and hands
 * it on as a wish.
 */
final class Stoppable {
  /** What can be stopped. */
  @FunctionalInterface
  interface Work<T> {
    /**
     * @param stop whether to end soon
     */
    T run(BooleanSupplier stop) throws Exception;
  }

  private Stoppable() {}

  /**
   * @param name of the work's thread
   * @return what the work gave back, stopped or not
   * @throws Exception what it threw
   */
  static <T> T run(String name, Work<T> work) throws Exception {
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
