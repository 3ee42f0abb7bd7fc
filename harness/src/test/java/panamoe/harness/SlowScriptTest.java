package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code ci/slow}'s reading of Maven's output, with a copy of the script and a fake Maven that
 * prints it.
 */
class SlowScriptTest {
  private static final String SAVE = line(3, 0, "panamoe.checkpoint.CheckpointCrashTest");
  private static final String RUN = line(2, 0, "panamoe.harness.train.KilledTrainingTest");
  private static final String PULL = line(1, 0, "panamoe.harness.models.KilledPullTest");

  @TempDir private Path folder;

  private static String line(int run, int skipped, String type) {
    return "[INFO] Tests run: "
        + run
        + ", Failures: 0, Errors: 0, Skipped: "
        + skipped
        + ", Time elapsed: 1.234 s -- in "
        + type
        + "\n";
  }

  @Test
  void testsThatRanAreCounted() throws Exception {
    assertTrue(
        said(
                0,
                "kills",
                SAVE + "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0\n" + RUN + PULL)
            .contains("| kills | passed, 6 tests |"));
    assertTrue(
        said(0, "tokenizer", line(4, 1, "panamoe.data.TokenizerFuzzTest"))
            .contains("passed, 3 tests"));
  }

  @Test
  void testsThatWereSkippedDidNotRun() throws Exception {
    String skipped = line(2, 2, "panamoe.harness.train.KilledTrainingTest");
    assertTrue(
        said(1, "kills", SAVE + skipped)
            .contains("failed: no test of KilledTrainingTest ran, 3 tests"));
  }

  @Test
  void everyPatternMustBeMet() throws Exception {
    assertTrue(
        said(1, "kills", RUN).contains("failed: no test of CheckpointCrashTest ran, 2 tests"));
    String elsewhere =
        line(4, 0, "panamoe.model.TokenizerFuzzTest") + line(4, 0, "panamoe.dataset.SomeFuzzTest");
    assertTrue(
        said(1, "tokenizer", elsewhere)
            .contains("failed: no test of panamoe/data/*FuzzTest ran, 0 tests"));
  }

  private String said(int exitCode, String name, String log)
      throws IOException, InterruptedException {
    Path script = Files.createDirectories(folder.resolve("ci")).resolve("slow");
    Files.copy(Path.of("../ci/slow"), script, StandardCopyOption.REPLACE_EXISTING);
    Files.createDirectories(folder.resolve("build"));
    Files.writeString(folder.resolve("log"), log);
    for (String other : new String[] {"panamoe", "ci/setup", "ci/maven"}) {
      String body = other.equals("ci/maven") ? "cat '" + folder.resolve("log") + "'\n" : "";
      Path file = Files.writeString(folder.resolve(other), "#!/bin/sh\n" + body);
      assertTrue(file.toFile().setExecutable(true));
    }
    Process process =
        new ProcessBuilder("bash", script.toString(), name).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(exitCode, process.waitFor(), said);
    return said;
  }
}
