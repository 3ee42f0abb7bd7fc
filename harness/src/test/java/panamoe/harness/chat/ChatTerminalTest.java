package panamoe.harness.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.EngineThread;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.SmallJvm;
import panamoe.harness.generate.GenerationOptions;
import picocli.CommandLine;

/** A conversation in a process on a pseudo-terminal. */
@Tag("slow")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ChatTerminalTest {
  private static final int COLUMNS = 40;
  private static final int CONTEXT = 20_000;
  private static final String ANSWER = "The committee thanks its members for this report. ";

  /** Talks with a model that writes {@link #ANSWER} for minutes. */
  static final class Talker {
    public static void main(String[] args) throws Exception {
      ChatTemplate template = ChatTemplate.of("{{ messages[-1].content }}:", "t", Map.of());
      try (EngineThread engine =
              new EngineThread(
                  ScriptedEngine.of(EngineConfig.one(CONTEXT), CONTEXT, ANSWER.repeat(300)),
                  _ -> pause(),
                  () -> {});
          Lines lines = TerminalLines.open(Path.of(args[0]))) {
        new Chat(
                engine,
                new Conversation(ChatFormat.of(template, new ByteTokenizer()), CONTEXT),
                new Chat.Settings(
                    "scribe",
                    CommandLine.populateCommand(new GenerationOptions(), "-n", "15000"),
                    1,
                    true,
                    false),
                new PrintWriter(System.out),
                new PrintWriter(System.err))
            .run(lines);
      }
      System.exit(7);
    }

    private static void pause() {
      try {
        Thread.sleep(10);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @TempDir private Path folder;
  private Process process;
  private final StringBuilder screen = new StringBuilder();

  @Test
  void anAnswerIsWrappedAndStoppedAndLinesAreKept() throws Exception {
    Path history = folder.resolve("state/history");
    start(history);
    try {
      await("scribe, a context of 20,000 tokens; /help lists commands");
      await("> ");
      type("Who?\r");
      await("committee");
      await("report.");
      type("\u0003");
      await("(stopped after ");
      await(" tokens/s)");
      await("> ");
      type("half\u0003");
      await("> ");
      type("\u0003");
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), screen::toString);
      assertEquals(7, process.exitValue(), screen::toString);
    } finally {
      process.destroyForcibly();
    }
    String shown = screen.toString().replaceAll("\u001b[\\[?0-9;]*[A-Za-z=>]", "");
    assertTrue(shown.contains("\r\nThe committee thanks its members for\r\nthis report."), shown);
    assertEquals(
        "rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(history)));
    assertTrue(Files.readString(history).endsWith(":Who?\n"), Files.readString(history));

    start(history);
    try {
      await("> ");
      type("\u0010"); // Ctrl-P: the line before
      await("Who?");
      type("\u0003");
      await("> ");
      type("\u0004");
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), screen::toString);
      assertEquals(7, process.exitValue(), screen::toString);
      assertFalse(screen.toString().contains("WARN"), screen::toString);
    } finally {
      process.destroyForcibly();
    }
  }

  private void start(Path history) throws IOException {
    List<String> command =
        SmallJvm.interruptible(Talker.class, history.toString()).stream()
            .map(part -> "'" + part + "'")
            .toList();
    // A shell that waits gets Ctrl-C too: dash, the usual one where SHELL is unset, ends with 130.
    String shell = "stty cols " + COLUMNS + " rows 24; exec " + String.join(" ", command);
    ProcessBuilder terminal = new ProcessBuilder("script", "-qec", shell, "/dev/null");
    terminal.environment().put("TERM", "xterm");
    process = terminal.start();
    screen.setLength(0);
    read = 0;
  }

  private int read;

  /** Waits until the screen shows a text after the latest one. */
  private void await(String text) throws IOException {
    for (int at = screen.indexOf(text, read); at < 0; at = screen.indexOf(text, read)) {
      int next = process.getInputStream().read();
      assertTrue(next >= 0, () -> "ended before it said '" + text + "': " + screen);
      screen.append((char) next);
    }
    read = screen.indexOf(text, read) + text.length();
  }

  private void type(String keys) throws IOException {
    process.getOutputStream().write(keys.getBytes(StandardCharsets.UTF_8));
    process.getOutputStream().flush();
  }
}
