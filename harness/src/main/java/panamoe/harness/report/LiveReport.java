package panamoe.harness.report;

import java.io.IOException;
import java.nio.file.Path;

/**
 * The report of a run while it trains: rewritten at intervals, in at most a fiftieth of the time.
 * Used by one thread.
 */
public final class LiveReport {
  private static final long NANOS_BETWEEN = 10_000_000_000L;
  private static final int TIMES_LONGER = 50;

  private final Path run;
  private final long begun = System.nanoTime();
  private long next = begun;

  /**
   * @param run its folder
   */
  public LiveReport(Path run) {
    this.run = run;
  }

  /** Writes the report if it is due: after the first step, and then at intervals. */
  public void finishedStep() throws IOException {
    long start = System.nanoTime();
    if (start - next >= 0) {
      Report.write(run, Report.State.RUNNING);
      long end = System.nanoTime();
      next = end + Math.max(NANOS_BETWEEN, TIMES_LONGER * (end - start));
    }
  }

  /** Writes the report of a run that ended after one of its steps, but not its last. */
  public void stop() throws IOException {
    if (next != begun) {
      Report.write(run, Report.State.STOPPED);
    }
  }
}
