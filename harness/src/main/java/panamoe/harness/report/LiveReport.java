package panamoe.harness.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import panamoe.io.FileErrors;

/**
 * The report of a run while it trains: rewritten at intervals, in at most a fiftieth of the time.
 * Used by one thread.
 */
public final class LiveReport {
  private static final long NANOS_BETWEEN = 10_000_000_000L;
  private static final int TIMES_LONGER = 50;

  private final Path run;
  private final long begun = System.nanoTime();
  private final Consumer<String> warnings;
  private long next = begun;

  /**
   * @param run its folder
   * @param warnings receives a sentence if the report cannot be written: training goes on
   */
  public LiveReport(Path run, Consumer<String> warnings) {
    this.run = run;
    this.warnings = warnings;
  }

  /** Writes the report if it is due: after the first step, and then at intervals. */
  public void finishedStep() {
    long start = System.nanoTime();
    if (start - next >= 0) {
      write(Report.State.RUNNING);
      long end = System.nanoTime();
      next = end + Math.max(NANOS_BETWEEN, TIMES_LONGER * (end - start));
    }
  }

  /** Writes the report of a run that ended after one of its steps, but not its last. */
  public void stop() {
    if (next != begun) {
      write(Report.State.STOPPED);
    }
  }

  private void write(Report.State state) {
    try {
      Report.write(run, state);
    } catch (IOException | IllegalArgumentException e) {
      warnings.accept(
          "the report is not up to date: "
              + (e instanceof IOException io ? FileErrors.reason(io) : e.getMessage()));
    }
  }
}
