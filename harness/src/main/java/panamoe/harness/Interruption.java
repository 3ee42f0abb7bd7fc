package panamoe.harness;

import java.io.PrintWriter;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;

/**
 * Handles Ctrl-C and SIGTERM: it interrupts the command's thread and waits for it to unwind, so
 * that {@code finally} blocks remove half-written files; then the JVM exits with the signal's exit
 * code.
 *
 * <p>Long-running work must check {@link Thread#isInterrupted()} between steps.
 */
final class Interruption {
  /** The JVM's exit code after SIGINT. */
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
      return EXIT_CODE; // interrupted before the command began
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
