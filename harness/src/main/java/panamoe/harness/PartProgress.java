package panamoe.harness;

import java.io.PrintStream;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * Prints which part of some work is done to stderr: a bar on a terminal, otherwise a line every few
 * seconds. Close it to end the bar's line.
 */
public final class PartProgress implements AutoCloseable {
  private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;
  private static final int MILLIS_BETWEEN_FRAMES = 250;
  private static final int STEPS = 1000;

  private final PrintStream out = System.err;
  private final String work;
  private final ProgressBar bar;
  private long lastLine = System.nanoTime();

  /**
   * @param work what is done, in a word
   */
  public PartProgress(String work) {
    this.work = work;
    this.bar =
        TrainingProgress.isTerminal(2)
            ? new ProgressBarBuilder()
                .setTaskName(work)
                .setInitialMax(STEPS)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(MILLIS_BETWEEN_FRAMES)
                .setConsumer(new ConsoleProgressBarConsumer(out))
                .build()
            : null;
  }

  /**
   * Any thread may call it.
   *
   * @param part from 0 to 1
   */
  public synchronized void at(double part) {
    if (bar != null) {
      bar.stepTo((long) (part * STEPS));
    } else if (System.nanoTime() - lastLine >= NANOS_BETWEEN_LINES) {
      lastLine = System.nanoTime();
      out.printf(Locale.ROOT, "%s: %.0f %%%n", work, 100 * part);
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
