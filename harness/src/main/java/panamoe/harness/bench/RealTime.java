package panamoe.harness.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/**
 * Real-time priority for short bursts, by {@code chrt}, so that a shared machine's other work does
 * not disturb what is timed; others get as long a turn after each burst.
 */
final class RealTime {
  private RealTime() {}

  /**
   * Runs {@code contender} for a burst with all threads of its process at real-time priority, then
   * rests as long.
   */
  static double[] burst(Contender contender, double seconds) throws IOException {
    long start = System.nanoTime();
    set(contender.process(), "--fifo", "10");
    double[] times;
    try {
      times = contender.burst(seconds);
    } finally {
      set(contender.process(), "--other", "0");
    }
    try {
      TimeUnit.NANOSECONDS.sleep(System.nanoTime() - start);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return times;
  }

  private static void set(long process, String policy, String priority) throws IOException {
    Process chrt =
        new ProcessBuilder("chrt", "--all-tasks", policy, "--pid", priority, Long.toString(process))
            .redirectErrorStream(true)
            .start();
    String said = new String(chrt.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      if (chrt.waitFor() != 0) {
        throw new IOException("no real-time priority here: " + said.strip());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
