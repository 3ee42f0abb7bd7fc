package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.CommandRun;

/** train, inspect and generate as a user runs them, on a text of a few kilobytes. */
class TrainCommandTest {
  @TempDir private Path folder;
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    text = Files.writeString(folder.resolve("text.txt"), "The committee thanks the members for the vote.\n".repeat(400));
  }

  @Test
  void trainsInspectsAndWrites() throws IOException {
    Path run = folder.resolve("run");
    CommandRun trained = train(run, "--steps", "30");
    assertEquals(0, trained.exitCode(), trained.err());
    assertTrue(trained.out().contains("trained 30 steps"), trained.out());
    List<String> metrics = Files.readAllLines(run.resolve("metrics.jsonl"));
    assertEquals(30, metrics.size());
    for (String key : List.of("step", "loss", "bits_per_byte", "aux_loss", "tokens_per_s", "router_entropy")) {
      assertTrue(metrics.getLast().contains('"' + key + '"'), metrics.getLast());
    }
    assertTrue(Files.readString(run.resolve("report.html")).contains("<svg"));

    assertTrue(CommandRun.of("inspect", run.toString()).out().contains("2 layers of width 64"));
    CommandRun inspected = CommandRun.of("inspect", run.toString(), "--verify", "--memory");
    assertEquals(0, inspected.exitCode(), inspected.err());
    assertTrue(inspected.out().contains("all files agree"), inspected.out());

    String[] generate = {
      "generate", "--model", run.toString(), "--prompt", "The ", "--max-tokens", "12", "--seed", "3"
    };
    CommandRun written = CommandRun.of(generate);
    assertEquals(0, written.exitCode(), written.err());
    assertTrue(written.out().length() > 4, written.out());
    assertEquals(written.out(), CommandRun.of(generate).out());

    CommandRun noCard = CommandRun.of("generate", "--model", run.toString(), "--device", "cpu", "--runtime-kernels");
    assertEquals(2, noCard.exitCode());
    assertTrue(noCard.err().contains("--runtime-kernels is for --device cuda, this run computes on cpu"), noCard.err());
  }

  @Test
  void aRunStoppedHalfwayAndResumedWritesTheSameCheckpoint() throws IOException {
    Path whole = folder.resolve("whole");
    assertEquals(0, train(whole, "--steps", "12").exitCode());

    // The same run, of which only a checkpoint of its middle is left.
    Path halves = folder.resolve("halves");
    String config = Files.readString(whole.resolve("config.json"));
    Path more = folder.resolve("halves.json");
    Files.writeString(more, config.replaceAll("\"checkpointEvery\" : \\d+", "\"checkpointEvery\" : 6"));
    CommandRun first =
        CommandRun.of("train", "--config", more.toString(), "--text", text.toString(), "--out", halves.toString());
    assertEquals(0, first.exitCode(), first.err());
    byte[] expected = weights(halves);
    delete(halves.resolve("checkpoints/step-00000012"));
    Files.writeString(halves.resolve("checkpoints/latest"), "step-00000006\n");

    CommandRun resumed = CommandRun.of("train", "--out", halves.toString(), "--resume");
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(resumed.err().contains("after step 6"), resumed.err());
    assertArrayEquals(expected, weights(halves));
    assertArrayEquals(expected, weights(whole));
    assertEquals(12, Files.readAllLines(halves.resolve("metrics.jsonl")).size());
  }

  @Test
  void aRunWithoutACheckpointStartsAgainAndSaysSo() throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "12").exitCode());
    byte[] expected = weights(run);
    delete(run.resolve("checkpoints"));
    assertRefused("leave the others out", "train", "--out", run.toString(), "--resume", "--seed", "9");
    CommandRun again = CommandRun.of("train", "--out", run.toString(), "--resume");
    assertEquals(0, again.exitCode(), again.err());
    assertTrue(again.err().contains("had not saved a checkpoint yet"), again.err());
    assertArrayEquals(expected, weights(run));
  }

  @Test
  void resumesOnItsOwnTextOnly() throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "2").exitCode());
    Path other = Files.writeString(folder.resolve("other.txt"), Files.readString(text).toUpperCase(Locale.ROOT));
    assertRefused(
        "was started on another text", "train", "--out", run.toString(), "--resume", "--text", other.toString());

    Path moved = Files.move(text, folder.resolve("moved.txt"));
    assertRefused("the run's text is no longer at " + text, "train", "--out", run.toString(), "--resume");
    CommandRun there = CommandRun.of("train", "--out", run.toString(), "--resume", "--text", moved.toString());
    assertEquals(0, there.exitCode(), there.err());
    assertEquals(0, CommandRun.of("train", "--out", run.toString(), "--resume").exitCode());

    Files.writeString(moved, "another\n", StandardOpenOption.APPEND);
    assertRefused(moved + " has changed since the run", "train", "--out", run.toString(), "--resume");
  }

  @Test
  void remembersTheDefaultCorpus() throws IOException {
    String run = folder.resolve("run").toString();
    CommandRun begun = CommandRun.of("train", "--preset", "tiny", "--arch", "dense", "--steps", "2", "--out", run);
    assertEquals(0, begun.exitCode(), begun.err());
    CommandRun resumed = CommandRun.of("train", "--out", run, "--resume");
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(resumed.err().contains("Europarl") && resumed.err().contains("after step 2"), resumed.err());
  }

  private static void assertRefused(String expected, String... line) {
    CommandRun refused = CommandRun.of(line);
    assertTrue(refused.exitCode() == 1 || refused.exitCode() == 2, refused.toString());
    assertTrue(refused.err().contains(expected), refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "--languages en,xx | no language 'xx'",
    "--languages en --text TEXT | does not go with --text",
    "--text FOLDER/none.txt | none.txt",
    "--text TEXT --steps 0 | --steps is 0",
    "--text TEXT --arch sparse | 'sparse' is not dense, moe or pr-moe",
    "--text TEXT --threads -1 | threads",
    "--text TEXT --timeout 0 | --timeout is 0 s",
    "--text TEXT --dtype f64 | 'f64' is none of [f32, bf16]",
    "--text TEXT --resume | there is no run to resume",
    "--text= | the path is empty",
    "--text TEXT --tokenizer= | the path is empty",
    "--text TEXT --tokenizer /dev/zero | the tokenizer /dev/zero is not a regular file",
    "--preset small --text FOLDER/short.txt | a sequence of 256 needs 257",
  })
  void aBadChoiceIsOneSentenceAndLeavesNoFolder(String options, String expected) throws IOException {
    Files.writeString(folder.resolve("short.txt"), "too short\n".repeat(13));
    Path run = folder.resolve("run");
    String line = "train --preset tiny --out " + run + " " + options;
    if (options.contains("--resume") || options.contains("--preset")) {
      line = line.replace("--preset tiny ", "");
    }
    assertRefused(expected, line.replace("TEXT", text.toString()).replace("FOLDER", folder.toString()).split(" "));
    assertFalse(Files.exists(run));
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "\"experts\" : \\[[^]]*\\] | \"experts\" : [LAYERS] | experts has 100000 numbers, one for each layer",
    "\"hidden\" : \\d+ | \"hidden\" : 2147483647 | hidden is 2147483647, expected 1 to 131072",
    "\"hidden\" : \\d+ | \"hidden\" : 131072 | choose a smaller model",
    "\"batch\" : \\d+ | \"batch\" : 2147483647 | a smaller batch, more microBatches or recompute take less",
  })
  void aModelThatNoMachineHoldsIsRefusedBeforeItsFolderIsMade(String key, String value, String expected)
      throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(folder.resolve("small"), "--steps", "1").exitCode());
    String layers = String.join(",", Collections.nCopies(100_000, "0"));
    String config = Files.readString(folder.resolve("small/config.json"));
    String changed = config.replaceFirst(key, value.replace("LAYERS", layers));
    assertNotEquals(config, changed);
    Path file = Files.writeString(folder.resolve("large.json"), changed);
    assertRefused(expected, "train", "--config", file.toString(), "--text", text.toString(), "--out", run.toString());
    assertFalse(Files.exists(run));
  }

  @Test
  void anEmptyNameIsNoFolder() {
    for (String command : List.of("train --out=", "demo --out=", "inspect ", "conformance ", "generate --model=")) {
      assertRefused("the path is empty", command.split(" ", -1));
    }
  }

  @Test
  void aPromptThatDoesNotFitIsNotPrinted() {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "1").exitCode());
    CommandRun refused = CommandRun.of("generate", "--model", run.toString(), "--prompt", "x".repeat(5000));
    assertEquals(1, refused.exitCode());
    assertEquals("", refused.out());
    assertTrue(refused.err().contains("the prompt has 5000 tokens, more than the model's context of "), refused.err());
  }

  private CommandRun train(Path run, String... more) {
    String[] given = {"train", "--preset", "tiny", "--text", text.toString(), "--out", run.toString()};
    String[] all = Arrays.copyOf(given, given.length + more.length);
    System.arraycopy(more, 0, all, given.length, more.length);
    return CommandRun.of(all);
  }

  private static byte[] weights(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("checkpoints/step-00000012/model.safetensors"));
  }

  private static void delete(Path checkpoint) throws IOException {
    try (Stream<Path> files = Files.walk(checkpoint)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
