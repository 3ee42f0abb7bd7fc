package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;

/** {@code train} refuses a config with a null key in one sentence, and leaves no run folder. */
class RefusedConfigTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "score",
        "policy",
        "queueOrder",
        "normalization",
        "noise",
        "capacity",
        "activation",
        "finalNorm",
        "positions",
        "dtype",
        "experts",
        "topK",
        "steps",
        "seed"
      })
  void leavesNoRun(String key) throws IOException {
    Path config = TinyRun.config(folder, 2);
    String json = Files.readString(config);
    String changed =
        json.replaceAll("\"" + key + "\" : (\\{[^{}]*\\}|[^,\\s]+)", "\"" + key + "\" : null");
    assertTrue(changed.contains("\"" + key + "\" : null"), changed);
    Files.writeString(config, changed);
    Path text =
        Files.writeString(
            folder.resolve("text.txt"), "The committee thanks its members.\n".repeat(300));
    Path run = folder.resolve("run");
    CommandRun refused =
        CommandRun.of(
            "train",
            "--text",
            text.toString(),
            "--config",
            config.toString(),
            "--out",
            run.toString());
    assertEquals(1, refused.exitCode(), refused.toString());
    assertTrue(refused.err().startsWith("panamoe train: " + config + ": at $"), refused.err());
    assertTrue(refused.err().contains(key), refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertTrue(Files.notExists(run), "a run's folder was left");
  }
}
