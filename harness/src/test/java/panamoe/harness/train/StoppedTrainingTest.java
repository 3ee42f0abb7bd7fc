package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;

/**
 * Ctrl-C ends a training run after the current step, which is saved; the run resumes bit for bit.
 */
@Tag("slow")
class StoppedTrainingTest {
  private static final int STEPS = 60;
  private static final int LIMIT_SECONDS = 600;
  private static final int CTRL_C = 130;
  private static final Pattern STOPPED =
      Pattern.compile(
          "(?m)^stopped after step (\\d+), which is saved; continue it by train --resume$");

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"1", "2"})
  void aStoppedRunIsSavedAndGoesOn(String ranks) throws Exception {
    Path config = TinyRun.config(folder, STEPS);
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "the committee thanks its members for this report.\n".repeat(900));
    Path undisturbed = folder.resolve("undisturbed");
    Path run = folder.resolve("run");
    CommandRun whole = CommandRun.of(options(text, config, ranks, undisturbed));
    assertEquals(0, whole.exitCode(), whole.err());

    Path said = folder.resolve("said.txt");
    Process training =
        new ProcessBuilder(SmallJvm.interruptible(Main.class, options(text, config, ranks, run)))
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start();
    try {
      while (!Files.exists(run.resolve("checkpoints/latest"))) {
        assertTrue(training.isAlive(), () -> read(said));
        Thread.sleep(1);
      }
      assertTrue(
          read(run.resolve("report.html")).contains("Training: step "), "reports while it trains");
      new ProcessBuilder("kill", "-INT", String.valueOf(training.pid())).start().waitFor();
      assertTrue(
          training.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS), () -> "still running: " + read(said));
    } finally {
      training.destroyForcibly();
    }
    assertEquals(CTRL_C, training.exitValue(), read(said));
    assertTrue(read(said).endsWith("interrupted\n"), read(said));
    Matcher stopped = STOPPED.matcher(read(said));
    assertTrue(stopped.find(), read(said));
    assertTrue(Integer.parseInt(stopped.group(1)) < STEPS, read(said));
    String report = read(run.resolve("report.html"));
    assertTrue(report.contains("Stopped after step " + stopped.group(1) + " of 60."), report);

    CommandRun resumed =
        CommandRun.of("train", "--resume", "--ranks", ranks, "--out", run.toString());
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(
        resumed.err().contains("continuing after step " + stopped.group(1) + ", "), resumed.err());
    assertFalse(read(run.resolve("report.html")).contains("<p role=\"status\">"), "finished");
    assertEquals(Losses.of(undisturbed), Losses.of(run));
  }

  /** On a terminal a progress bar is drawn, whose library must not take Ctrl-C away. */
  @Test
  void ctrlCOnATerminalSaves() throws Exception {
    Path config = TinyRun.config(folder, 100 * STEPS);
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "the committee thanks its members for this report.\n".repeat(900));
    Path run = folder.resolve("run");
    Path said = folder.resolve("said.txt");
    List<String> command =
        SmallJvm.interruptible(Main.class, options(text, config, "1", run)).stream()
            .map(part -> "'" + part + "'")
            .toList();
    ProcessBuilder terminal =
        new ProcessBuilder("script", "-qec", String.join(" ", command), said.toString())
            .redirectOutput(ProcessBuilder.Redirect.DISCARD);
    terminal.environment().put("TERM", "xterm");
    Process training = terminal.start();
    try {
      while (!Files.exists(run.resolve("checkpoints/latest"))) {
        assertTrue(training.isAlive(), () -> read(said));
        Thread.sleep(1);
      }
      training.getOutputStream().write(3); // Ctrl-C
      training.getOutputStream().flush();
      assertTrue(training.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS), () -> read(said));
    } finally {
      training.destroyForcibly();
    }
    assertEquals(CTRL_C, training.exitValue(), read(said));
    assertTrue(read(said).contains(", which is saved; continue it by"), read(said));
    assertTrue(read(said).contains("interrupted"), read(said));
  }

  private static String[] options(Path text, Path config, String ranks, Path out) {
    return new String[] {
      "train",
      "--text",
      text.toString(),
      "--config",
      config.toString(),
      "--ranks",
      ranks,
      "--out",
      out.toString()
    };
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
