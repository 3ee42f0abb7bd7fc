package panamoe.harness.chat;

import java.io.IOException;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal;

/**
 * Lines edited on a terminal, with a history. Ctrl-C stops the current answer; pressed again before
 * the next line it ends the conversation, like Ctrl-D.
 */
final class TerminalLines implements Lines {
  private static final String PROMPT = "> ";

  private final Terminal terminal;
  private final LineReader reader;
  private volatile int interrupts;

  TerminalLines(Terminal terminal) {
    this.terminal = terminal;
    this.reader =
        LineReaderBuilder.builder()
            .terminal(terminal)
            .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true) // "!" has no special meaning
            .build();
  }

  @Override
  public String next() throws InterruptedException {
    while (interrupts < 2) {
      try {
        String line = reader.readLine(PROMPT);
        interrupts = 0;
        return line;
      } catch (UserInterruptException _) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        if (++interrupts == 1) {
          terminal.writer().println("(Ctrl-C again, Ctrl-D or /quit ends)");
        }
      } catch (EndOfFileException _) {
        return null;
      }
    }
    return null;
  }

  @Override
  public void onInterrupt(Runnable cancel) {
    terminal.handle(
        Terminal.Signal.INT,
        _ -> {
          interrupts++;
          cancel.run();
        });
  }

  @Override
  public void close() throws IOException {
    terminal.close();
  }
}
