package panamoe.harness.export;

import java.io.PrintStream;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import panamoe.harness.TrainingProgress;

/**
 * Prints to stderr how much of a model is written: a bar on a terminal, otherwise a line every few
 * seconds. Used by one thread; close it to end the bar's line.
 */
final class WritingProgress implements AutoCloseable {
  private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;
  private static final int STEPS = 1000;

  private final PrintStream out;
  private final ProgressBar bar;
  private long lastLine = System.nanoTime();

  private WritingProgress(PrintStream out, ProgressBar bar) {
    this.out = out;
    this.bar = bar;
  }

  static WritingProgress onStandardError() {
    PrintStream err = System.err;
    return new WritingProgress(
        err,
        TrainingProgress.isTerminal(2)
            ? new ProgressBarBuilder()
                .setTaskName("writing")
                .setInitialMax(STEPS)
                .setStyle(ProgressBarStyle.ASCII)
                .setConsumer(new ConsoleProgressBarConsumer(err))
                .build()
            : null);
  }

  /**
   * @param part that is written, 0 to 1
   */
  void reached(double part) {
    if (bar != null) {
      bar.stepTo((long) (part * STEPS));
    } else if (System.nanoTime() - lastLine >= NANOS_BETWEEN_LINES) {
      lastLine = System.nanoTime();
      out.printf(Locale.ROOT, "%.0f %% written%n", 100 * part);
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
