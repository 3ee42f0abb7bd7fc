package panamoe.harness;

import java.io.PrintStream;
import java.util.function.DoubleConsumer;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * A bar on standard error that shows which part of something is done: on a terminal, and once it
 * has taken half a second. Close it to end its line. Thread-safe.
 */
public final class PartBar implements DoubleConsumer, AutoCloseable {
  private static final long NANOS_BEFORE = 500_000_000L;
  private static final int MILLIS_BETWEEN_FRAMES = 100;
  private static final int PARTS = 1000;

  private final PrintStream out; // null: not on a terminal
  private final String task;
  private final long start = System.nanoTime();
  private ProgressBar bar;

  private PartBar(PrintStream out, String task) {
    this.out = out;
    this.task = task;
  }

  /**
   * @param task what is done, such as "loading"
   */
  public static PartBar onStandardError(String task) {
    return new PartBar(TrainingProgress.isTerminal(2) ? System.err : null, task);
  }

  /** As on a terminal, to {@code out}. */
  static PartBar on(PrintStream out, String task) {
    return new PartBar(out, task);
  }

  /** {@code part}, 0 to 1, is done. */
  @Override
  public synchronized void accept(double part) {
    if (out == null || bar == null && System.nanoTime() - start < NANOS_BEFORE) {
      return;
    }
    if (bar == null) {
      bar =
          new ProgressBarBuilder()
              .setTaskName(task)
              .setInitialMax(PARTS)
              .hideEta()
              .setStyle(ProgressBarStyle.ASCII)
              .setUpdateIntervalMillis(MILLIS_BETWEEN_FRAMES)
              .setConsumer(new ConsoleProgressBarConsumer(out))
              .build();
    }
    bar.stepTo(Math.max(bar.getCurrent(), Math.round(PARTS * part)));
  }

  @Override
  public synchronized void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
