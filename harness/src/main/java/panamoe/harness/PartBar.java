package panamoe.harness;

import java.io.PrintStream;
import java.util.function.DoubleConsumer;
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
  private long last = System.nanoTime(); // of the beginning, or the last line
  private LineBar bar;

  private PartBar(PrintStream out, boolean terminal, String task) {
    this.out = out;
    this.terminal = terminal;
    this.task = task;
  }

  /**
   * @param task such as "loading"
   */
  public static PartBar onStandardError(String task) {
    return new PartBar(System.err, TrainingProgress.isTerminal(2), task);
  }

  /** A bar on {@code out}. */
  static PartBar on(PrintStream out, String task) {
    return new PartBar(out, true, task);
  }

  /** Reports that {@code part}, 0 to 1, is done. */
  @Override
  public synchronized void accept(double part) {
    long shown = terminal ? NANOS_BEFORE : NANOS_BETWEEN_LINES;
    if (bar == null && System.nanoTime() - last < shown) {
      return;
    }
    if (!terminal) {
      last = System.nanoTime();
      out.println(Words.of("%s: %.0f %%", task, 100 * part));
      return;
    }
    if (bar == null) {
      bar = new LineBar(out, task, 0, PARTS, MILLIS_BETWEEN_FRAMES, true);
    }
    bar.stepTo(Math.round(PARTS * part), "");
  }

  @Override
  public synchronized void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
