package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@Tag("slow")
class InterruptionTest {
  /** A command that holds a half-written file for minutes, and removes it on the way out. */
  static final class SlowWriter {
    public static void main(String[] args) {
      System.exit(
          Interruption.guard(new PrintWriter(System.err, true), () -> write(Path.of(args[0]))));
    }

    private static int write(Path file) {
      try {
        Files.writeString(file, "half");
        System.out.println("writing");
        Thread.sleep(600_000);
        return 0;
      } catch (IOException | InterruptedException e) {
        return 1;
      } finally {
        file.toFile().delete();
      }
    }
  }

  @Test
  void ctrlCRemovesWhatIsHalfWritten(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("checkpoint.tmp");
    Process process =
        new ProcessBuilder(SmallJvm.interruptible(SlowWriter.class, file.toString())).start();
    try (BufferedReader out = process.inputReader()) {
      assertEquals("writing", out.readLine());
      assertTrue(Files.exists(file));
      new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
      assertTrue(process.waitFor(300, TimeUnit.SECONDS), "still running after 300 s");
      String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(130, process.exitValue());
      assertEquals("interrupted", err.strip());
      assertFalse(Files.exists(file));
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void passesTheExitCodeOn() {
    assertEquals(7, Interruption.guard(new PrintWriter(System.err), () -> 7));
  }
}
