package panamoe.harness;

import java.io.PrintWriter;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;

/**
 * What Ctrl-C (or SIGTERM) does: the thread that runs the command is interrupted and given time to
 * unwind, so that its {@code finally} blocks remove half-written files; then the JVM ends with the
 * signal's exit code.
 *
 * <p>Long work honours this by looking at {@link Thread#isInterrupted()} between steps.
 */
final class Interruption {
  /** What the JVM exits with after SIGINT. */
  static final int EXIT_CODE = 130;

  private static final long SECONDS_TO_UNWIND = 20;

  private Interruption() {}

  /** Runs {@code command} on this thread and returns its result. */
  static int guard(PrintWriter err, IntSupplier command) {
    Thread worker = Thread.currentThread();
    CountDownLatch finished = new CountDownLatch(1);
    Thread hook =
        new Thread(
            () -> {
              if (finished.getCount() > 0) {
                worker.interrupt();
                awaitQuietly(finished);
                err.println("interrupted");
                err.flush();
              }
            },
            "interruption");
    try {
      Runtime.getRuntime().addShutdownHook(hook);
    } catch (IllegalStateException e) {
      return EXIT_CODE; // interrupted already, before there was anything to unwind
    }
    try {
      return command.getAsInt();
    } finally {
      finished.countDown();
    }
  }

  private static void awaitQuietly(CountDownLatch finished) {
    try {
      finished.await(SECONDS_TO_UNWIND, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
