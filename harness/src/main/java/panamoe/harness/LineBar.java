package panamoe.harness;

import java.io.IOError;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressState;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import panamoe.io.Words;

/** A progress bar on one line of a terminal: each frame fits and covers the previous one. */
final class LineBar implements AutoCloseable {
  private static final int LONGEST = 40;
  private static final int SHORTEST = 8;

  /** The line on a terminal. Between frames the cursor is at its start. */
  private static final class Line extends ConsoleProgressBarConsumer {
    private final PrintStream out;
    private final boolean erased;
    private final Terminal terminal = terminal();
    private int width = 80;

    Line(PrintStream out, boolean erased) {
      super(out);
      this.out = out;
      this.erased = erased;
    }

    /**
     * The library's own terminal would take SIGINT away from the JVM, and Ctrl-C would then end the
     * process without saving anything.
     */
    private static Terminal terminal() {
      try {
        return TerminalBuilder.builder()
            .dumb(true)
            .nativeSignals(false)
            .graphemeCluster(false)
            .build();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public int getMaxRenderedLength() {
      try {
        int now = terminal.getSize().getColumns();
        width = now > SHORTEST ? now : width;
      } catch (IllegalStateException | IOError _) {
        // JLine closes terminals when the JVM exits, and Ctrl-C ends the stty that it asks for the
        // width too: the last frames have the width from before
      }
      return width - 1;
    }

    @Override
    public synchronized void accept(String frame) {
      out.print("\r" + frame + "\r");
      out.flush();
    }

    private synchronized void printAbove(Runnable message) {
      erase();
      message.run();
    }

    private void erase() {
      out.print(" ".repeat(getMaxRenderedLength()) + "\r");
      out.flush();
    }

    /** Does nothing: the library calls it only if a bar was drawn twice. */
    @Override
    public void close() {}

    private void end() {
      if (erased) {
        erase();
      } else {
        out.println();
        out.flush();
      }
      try {
        terminal.close();
      } catch (IOException | IOError _) {
        // the line is complete
      }
    }
  }

  private final Line line;
  private final ProgressBar bar;

  /**
   * Starts a bar.
   *
   * @param task that is done; may be empty
   * @param done of {@code all}, at the beginning
   * @param erased whether to remove the bar at the end
   */
  LineBar(
      PrintStream out, String task, long done, long all, int millisBetweenFrames, boolean erased) {
    this.line = new Line(out, erased);
    this.bar =
        new ProgressBarBuilder()
            .setTaskName(task)
            .setInitialMax(all)
            .startsFrom(done, Duration.ZERO)
            .setUpdateIntervalMillis(millisBetweenFrames)
            .setRenderer(LineBar::frame)
            .setConsumer(line)
            .build();
  }

  /** Updates the progress, which never decreases. */
  void stepTo(long done, String message) {
    bar.setExtraMessage(message);
    bar.stepTo(Math.max(bar.getCurrent(), done));
  }

  /** Prints lines above the bar. */
  void printAbove(Runnable message) {
    line.printAbove(message);
  }

  /** Draws the last frame. */
  @Override
  public void close() {
    bar.close();
    line.end();
  }

  private static String frame(ProgressState state, int width) {
    return frame(
        state.getTaskName(), state.getNormalizedProgress(), state.getExtraMessage(), width);
  }

  /**
   * The task, the bar, and the message or percentage; the bar takes the remaining width.
   *
   * @return {@code width} characters
   */
  static String frame(String task, double part, String message, int width) {
    String text = message.isEmpty() ? Words.of("%3.0f %%", 100 * part) : message;
    int most = Math.max(0, width - text.length() - 1);
    String before = task.isEmpty() ? "" : task.substring(0, Math.min(task.length(), most)) + " ";
    int room = Math.min(LONGEST, width - before.length() - text.length() - "[] ".length());
    int full = (int) (room * part);
    String bar = room < SHORTEST ? "" : "[" + "=".repeat(full) + " ".repeat(room - full) + "] ";
    String line = before + bar + text;
    return line.substring(0, Math.min(width, line.length()))
        + " ".repeat(Math.max(0, width - line.length()));
  }
}
