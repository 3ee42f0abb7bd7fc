package panamoe.harness;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import panamoe.io.Words;

/**
 * Prints training progress to stderr: step, loss, bits per byte, tokens per second and time left;
 * on a terminal on one line, with a bar if there is room, otherwise by a line every few seconds.
 * Used by one thread; close it to end the bar's line.
 */
public final class TrainingProgress implements AutoCloseable {
  private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;
  private static final int MILLIS_BETWEEN_FRAMES = 250;

  private final PrintStream out;
  private final long firstStep;
  private final long steps;
  private final LineBar bar;
  private final long start = System.nanoTime();
  private long lastLine = start;

  private TrainingProgress(PrintStream out, boolean terminal, long done, long steps) {
    this.out = out;
    this.firstStep = done;
    this.steps = steps;
    this.bar = terminal ? new LineBar(out, "", done, steps, MILLIS_BETWEEN_FRAMES, false) : null;
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

  /** A bar on {@code out}. */
  static TrainingProgress asBar(PrintStream out, long done, long steps) {
    return new TrainingProgress(out, true, done, steps);
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
    long now = System.nanoTime();
    boolean due = step == steps || now - lastLine >= NANOS_BETWEEN_LINES;
    if (bar == null && !due) {
      return;
    }
    String line =
        Words.of(
            "step %d/%d  loss %.3f  bits/byte %.3f  %,.0f tokens/s  %s left",
            step, steps, loss, bitsPerByte, tokensPerSecond, timeLeft(step, now));
    if (bar != null) {
      bar.stepTo(step, line);
    } else {
      lastLine = now;
      out.println(line);
    }
  }

  /** Prints lines to the same terminal, above the bar. */
  public void printAbove(Runnable message) {
    if (bar == null) {
      message.run();
    } else {
      bar.printAbove(message);
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }

  private String timeLeft(long step, long now) {
    double nanosPerStep = (double) (now - start) / Math.max(1, step - firstStep);
    Duration left = Duration.ofNanos((long) (nanosPerStep * (steps - step)));
    return Words.of("%d:%02d:%02d", left.toHours(), left.toMinutesPart(), left.toSecondsPart());
  }

  /** Java's test covers all standard streams together; the one of Linux covers each. */
  public static boolean isTerminal(int descriptor) {
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
      return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
    } catch (IOException e) {
      return false;
    }
  }
}
