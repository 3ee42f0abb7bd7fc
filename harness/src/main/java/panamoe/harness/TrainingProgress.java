package panamoe.harness;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * Prints training progress to stderr. On a terminal: a bar with loss, bits per byte, tokens per
 * second and time left. Otherwise: a line every few seconds. Used by one thread; close it to end
 * the bar's line.
 */
public final class TrainingProgress implements AutoCloseable {
  private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;
  private static final int MILLIS_BETWEEN_FRAMES = 250;

  private final PrintStream out;
  private final long firstStep;
  private final long steps;
  private final ProgressBar bar;
  private final long start = System.nanoTime();
  private long lastLine = start;

  private TrainingProgress(PrintStream out, boolean terminal, long done, long steps) {
    this.out = out;
    this.firstStep = done;
    this.steps = steps;
    this.bar = terminal ? bar(out, done, steps) : null;
  }

  /**
   * Starts printing to stderr.
   *
   * @param done steps done before, in a resumed run
   * @param steps the last step
   */
  public static TrainingProgress onStandardError(long done, long steps) {
    return new TrainingProgress(System.err, isTerminal(2), done, steps);
  }

  /** Prints progress as lines to {@code out}. */
  static TrainingProgress asLines(PrintStream out, long done, long steps) {
    return new TrainingProgress(out, false, done, steps);
  }

  /**
   * Reports a finished step.
   *
   * @param step from 1
   * @param loss nats per token
   */
  public void finished(long step, double loss, double bitsPerByte, double tokensPerSecond) {
    String figures =
        String.format(
            Locale.ROOT,
            "loss %.3f  bits/byte %.3f  %,.0f tokens/s",
            loss,
            bitsPerByte,
            tokensPerSecond);
    if (bar != null) {
      bar.setExtraMessage(" " + figures);
      bar.stepTo(step);
    } else if (step == steps || System.nanoTime() - lastLine >= NANOS_BETWEEN_LINES) {
      lastLine = System.nanoTime();
      out.printf(Locale.ROOT, "step %d/%d  %s  %s left%n", step, steps, figures, timeLeft(step));
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }

  private String timeLeft(long step) {
    double nanosPerStep = (double) (lastLine - start) / Math.max(1, step - firstStep);
    Duration left = Duration.ofNanos((long) (nanosPerStep * (steps - step)));
    return String.format(
        Locale.ROOT, "%d:%02d:%02d", left.toHours(), left.toMinutesPart(), left.toSecondsPart());
  }

  private static ProgressBar bar(PrintStream out, long done, long steps) {
    return new ProgressBarBuilder()
        .setTaskName("training")
        .setInitialMax(steps)
        .startsFrom(done, Duration.ZERO)
        .setStyle(ProgressBarStyle.ASCII)
        .setUpdateIntervalMillis(MILLIS_BETWEEN_FRAMES)
        .setConsumer(new ConsoleProgressBarConsumer(out))
        .build();
  }

  /** Java's test covers all standard streams together; Linux's covers each. */
  public static boolean isTerminal(int descriptor) {
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
      return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
    } catch (IOException e) {
      return false;
    }
  }
}
