package panamoe.harness;

import java.io.PrintStream;
import java.util.function.DoubleConsumer;
import panamoe.io.Count;
import panamoe.io.Words;

/**
 * Shows the progress of a task on standard error: on a terminal as a bar, once it has taken half a
 * second, otherwise by a line every five seconds. Close it to end the bar's line. Thread-safe.
 */
public final class PartBar implements DoubleConsumer, AutoCloseable {
  private static final long NANOS_BEFORE = 500_000_000L;
  private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;
  private static final int MILLIS_BETWEEN_FRAMES = 100;
  private static final int PARTS = 1000;

  private final PrintStream out;
  private final boolean terminal;
  private final String task;
  private final long bytes;
  private final long start = System.nanoTime();
  private long last = start; // of the last line
  private double most; // another thread may report a smaller part late
  private LineBar bar;

  private PartBar(PrintStream out, boolean terminal, String task, long bytes) {
    this.out = out;
    this.terminal = terminal;
    this.task = task;
    this.bytes = bytes;
  }

  /**
   * @param task such as "loading"
   */
  public static PartBar onStandardError(String task) {
    return onStandardError(task, 0);
  }

  /**
   * @param bytes that the task reads, which are shown with the time left; 0: only the percentage
   */
  public static PartBar onStandardError(String task, long bytes) {
    return new PartBar(System.err, TrainingProgress.isTerminal(2), task, bytes);
  }

  /** A bar on {@code out}. */
  static PartBar on(PrintStream out, String task, long bytes) {
    return new PartBar(out, true, task, bytes);
  }

  /** Reports that {@code part}, 0 to 1, is done. */
  @Override
  public synchronized void accept(double part) {
    most = Math.max(most, part);
    long shown = terminal ? NANOS_BEFORE : NANOS_BETWEEN_LINES;
    if (bar == null && System.nanoTime() - last < shown) {
      return;
    }
    if (!terminal) {
      last = System.nanoTime();
      out.println(task + ": " + said().strip());
      return;
    }
    if (bar == null) {
      bar = new LineBar(out, task, 0, PARTS, MILLIS_BETWEEN_FRAMES, true);
    }
    bar.stepTo(Math.round(PARTS * most), said());
  }

  /** The percentage, and the bytes and the time left at the speed so far. */
  private String said() {
    String percent = Words.of("%3.0f %%", 100 * most);
    if (bytes == 0 || most == 0) {
      return percent;
    }
    double left = (System.nanoTime() - start) / 1e9 * (1 - most) / most;
    return Words.of(
        "%s, %s of %s, %.0f s left",
        percent, Count.bytes(bytes * most), Count.bytes(bytes), Math.ceil(left));
  }

  @Override
  public synchronized void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
