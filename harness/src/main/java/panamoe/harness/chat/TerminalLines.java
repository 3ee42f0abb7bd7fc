package panamoe.harness.chat;

import java.io.IOException;
import java.nio.file.Path;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import panamoe.harness.Signals;

/**
 * Lines edited on a terminal, with a history. Ctrl-C stops the current answer; at the prompt it
 * drops what was typed, and ends the conversation if that was nothing, like Ctrl-D.
 */
final class TerminalLines implements Lines {
  private static final String PROMPT = "> ";
  private static final int KEPT_LINES = 1000;
  private static final int USUAL_COLUMNS = 80; // of a terminal that does not tell

  private final Terminal terminal;
  private final LineReader reader;
  private final Runnable restoreSignals;

  /**
   * @param history the file of earlier lines, readable by its owner only; null for none
   */
  TerminalLines(Terminal terminal, Path history) {
    this.terminal = terminal;
    // JLine's own handling gives a signal back for moments, in which Ctrl-C ends the program.
    Runnable interrupts = Signals.handle(() -> terminal.raise(Terminal.Signal.INT), "INT");
    Runnable resizes = Signals.handle(() -> terminal.raise(Terminal.Signal.WINCH), "WINCH");
    this.restoreSignals =
        () -> {
          interrupts.run();
          resizes.run();
        };
    LineReaderBuilder builder =
        LineReaderBuilder.builder()
            .terminal(terminal)
            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true); // "!" has no special meaning
    if (history != null) {
      builder
          .variable(LineReader.HISTORY_FILE, history)
          .variable(LineReader.HISTORY_SIZE, KEPT_LINES)
          .variable(LineReader.HISTORY_FILE_SIZE, KEPT_LINES);
    }
    this.reader = builder.build();
  }

  /** The terminal of this process, which is not asked what it is. */
  static TerminalLines open(Path history) throws IOException {
    // Otherwise Ctrl-C may come twice, as a character and as a signal.
    System.setProperty(TerminalBuilder.PROP_SOFTWARE_SIGNALS, "false");
    return new TerminalLines(
        TerminalBuilder.builder().system(true).nativeSignals(false).graphemeCluster(false).build(),
        history);
  }

  @Override
  public String next() throws InterruptedException {
    while (true) {
      try {
        return reader.readLine(PROMPT);
      } catch (UserInterruptException e) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        if (e.getPartialLine().isBlank()) {
          return null;
        }
      } catch (EndOfFileException _) {
        return null;
      }
    }
  }

  @Override
  public int columns() {
    int columns = terminal.getSize().getColumns();
    return columns > 0 ? columns : USUAL_COLUMNS;
  }

  @Override
  public void onInterrupt(Runnable cancel) {
    terminal.handle(Terminal.Signal.INT, _ -> cancel.run());
  }

  @Override
  public void close() throws IOException {
    restoreSignals.run();
    terminal.close();
  }
}
