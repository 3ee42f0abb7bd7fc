package panamoe.lab.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.CommandRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@Timeout(300)
class LoadCommandsTest {
  @TempDir private static Path folder;
  private static String model;

  @BeforeAll
  static void train() throws IOException {
    Path text = folder.resolve("text.txt");
    Files.writeString(text, "The committee thanks the members for the vote.\n".repeat(400));
    model = folder.resolve("writer").toString();
    CommandRun trained =
        CommandRun.of(
            "train", "--preset", "tiny", "--steps", "2", "--text", text.toString(), "--out", model);
    assertEquals(0, trained.exitCode(), trained.err());
  }

  @Test
  void measuresAServerOfItsOwn() throws IOException {
    CommandRun run =
        CommandRun.of(
            "bench",
            "serve",
            model,
            "--json",
            "--seconds",
            "1",
            "--rate",
            "20,0.5x",
            "--threads",
            "1",
            "--",
            "--sequences",
            "8");
    assertEquals(0, run.exitCode(), run.err());
    List<String> lines = run.out().lines().toList();
    assertEquals(3, lines.size(), run.out());
    for (String line : lines) {
      JsonNode result = JsonMapper.shared().readTree(line);
      assertEquals(0, result.get("refused").asInt(), line);
      assertEquals(0, result.get("failed").asInt(), line + run.err());
      assertTrue(result.get("done_per_s").asDouble() > 0, line);
      assertTrue(result.get("tokens_per_s").asDouble() > 0, line);
    }
    assertTrue(lines.get(1).contains("\"load\":\"20\""), lines.get(1));
  }

  @Test
  void refusesPromptsBeyondTheContext() {
    CommandRun run = CommandRun.of("bench", "serve", model, "--prompt-tokens", "100000");
    assertEquals(2, run.exitCode(), run.err());
    assertTrue(run.err().contains("--prompt-tokens 100000 and --text-tokens "), run.err());
  }

  @Test
  void measuresStepsOverRanks() throws IOException {
    CommandRun run =
        CommandRun.of(
            "bench",
            "latency",
            model,
            "--json",
            "--texts",
            "1,3",
            "--tokens",
            "10",
            "--ranks",
            "2",
            "--ep",
            "2");
    assertEquals(0, run.exitCode(), run.err());
    List<String> lines = run.out().lines().toList();
    assertEquals(2, lines.size(), run.out());
    for (String line : lines) {
      JsonNode result = JsonMapper.shared().readTree(line);
      assertEquals(2, result.get("expert_degree").asInt(), line);
      assertTrue(result.get("step_ms").asDouble() > 0, line);
      assertTrue(result.get("messages").asLong() > 0, line);
      double share = result.get("exchange_share").asDouble();
      assertTrue(share > 0 && share < 1, line);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "--url http://localhost:1 model | 2 | MODEL and --url are both given",
        "--rate -1 model | 2 | '-1' is not a rate",
        "--rate 2y model | 2 | '2y' is not a rate",
        "--seconds 0 model | 2 | --seconds is 0.0",
        "--shared 2 --url http://localhost:1 | 1 | localhost:1",
        "--url nowhere | 2 | --url nowhere is not the address of a server",
        "no-such-model | 1 | the server ended before it served no-such-model",
      })
  void wrongUsageIsOneSentence(String arguments, int exitCode, String why) {
    CommandRun run = CommandRun.of(("bench serve " + arguments).split(" "));
    assertEquals(exitCode, run.exitCode(), run.err());
    assertTrue(run.err().contains(why), run.err());
    assertEquals(1, run.err().lines().count(), run.err());
  }
}
