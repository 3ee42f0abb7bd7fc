package panamoe.lab.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/**
 * Runs short bursts at real-time priority by {@code chrt}, so that other load does not disturb the
 * timing. After each burst the other load gets equal time.
 */
final class RealTimePriority {
  private RealTimePriority() {}

  /**
   * Runs one burst with all threads of the contender's process at real-time priority, then rests
   * for the same time.
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
