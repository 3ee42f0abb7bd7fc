package panamoe.harness.bench;

import java.io.IOException;
import java.time.Duration;

/**
 * The machine's ceilings at the time of each cell. They are measured anew every few seconds, because memory that a
 * machine shares with others gets slower and faster within minutes.
 */
final class Yardstick {
  private static final Duration FRESH = Duration.ofSeconds(3);

  private final String device;
  private final int threads;
  private final boolean realTime;
  private Ceilings latest;
  private long measured;

  /**
   * Measures for the first time.
   *
   * @param device its name
   * @param threads 0 for one per processor
   * @param realTime whether at real-time priority
   */
  Yardstick(String device, int threads, boolean realTime) throws IOException, InterruptedException {
    this.device = device;
    this.threads = threads;
    this.realTime = realTime;
    measure();
  }

  /** What was measured last; null where ceilings are not known. */
  Ceilings latest() {
    return latest;
  }

  /** The higher ceilings of those before and after what has just run; null where they are not known. */
  Ceilings ofWhatRan() throws IOException, InterruptedException {
    Ceilings before = latest;
    if (before == null || System.nanoTime() - measured < FRESH.toNanos()) {
      return before;
    }
    measure();
    return before.higher(latest);
  }

  private void measure() throws IOException, InterruptedException {
    latest = Ceilings.known(device) ? Ceilings.measure(device, threads, realTime).orElse(null) : null;
    measured = System.nanoTime();
  }
}
