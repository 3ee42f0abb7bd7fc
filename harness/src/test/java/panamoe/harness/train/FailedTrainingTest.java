package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;

/**
 * A run whose values become infinite or NaN ends, names the first such layer, and keeps its
 * checkpoints; exploding weights provoke it.
 */
class FailedTrainingTest {
  private static final int STEPS = 40;
  private static final Pattern FAILED =
      Pattern.compile(
          "panamoe train: step (\\d+): .*(?:layer \\d|gradient of \\w+[.]\\S+) .*finite.*; (.*)");

  @TempDir private Path folder;
  private Path text;
  private Path run;

  @BeforeEach
  void writeText() throws IOException {
    run = folder.resolve("run");
    text =
        Files.writeString(
            folder.resolve("text.txt"), "The committee thanks its members.\n".repeat(300));
  }

  /** A decay factor above 2 flips a weight's sign and enlarges it with every step. */
  private Path exploding(int checkpointEvery) throws IOException {
    Path config = TinyRun.config(folder, STEPS);
    String sound = Files.readString(config);
    String exploding =
        sound
            .replaceAll("\"learningRate\" : [^,]+", "\"learningRate\" : 2")
            .replaceAll("\"weightDecay\" : [^,]+", "\"weightDecay\" : 9")
            .replaceAll("\"checkpointEvery\" : \\d+", "\"checkpointEvery\" : " + checkpointEvery);
    assertNotEquals(sound, exploding);
    return Files.writeString(config, exploding);
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "2"})
  void theLastCheckpointIsKeptAndNamed(String ranks) throws IOException {
    CommandRun failed = train(exploding(2), ranks);
    Matcher sentence = failure(failed);
    int step = Integer.parseInt(sentence.group(1));
    assertTrue(step > 4, "it failed before there was much to keep: " + failed);
    int saved = (step - 1) / 2 * 2; // every second step before
    Path last = run.resolve("checkpoints/step-0000000" + saved);
    assertEquals("the last checkpoint, " + last + ", is kept", sentence.group(2));
    assertEquals(
        List.of("latest", "step-0000000" + (saved - 2), "step-0000000" + saved), checkpoints());
    assertEquals(step - 1, Losses.of(run).size());
    CommandRun inspected = CommandRun.of("inspect", run.toString(), "--verify");
    assertEquals(0, inspected.exitCode(), inspected.err());

    // It fails again with the same bits, and the checkpoints stay.
    byte[] weights = weights(last);
    CommandRun resumed =
        CommandRun.of("train", "--resume", "--ranks", ranks, "--out", run.toString());
    assertEquals(sentence.group(), failure(resumed).group());
    assertTrue(resumed.err().contains("continuing after step " + saved + ", "), resumed.err());
    assertArrayEquals(weights, weights(last));
    assertEquals(step - 1, Losses.of(run).size());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whereNothingWasSavedTheRunIsRemovedAndMayBeTriedAgain(boolean given) throws IOException {
    if (given) {
      Files.createDirectory(run);
    }
    Path config = exploding(0);
    CommandRun failed = train(config, "1");
    Matcher sentence = failure(failed);
    assertEquals("no checkpoint was saved", sentence.group(2));
    String removed =
        "no checkpoint was saved: the files that the run wrote into " + run + " are removed";
    assertTrue(failed.err().contains(removed), failed.err());
    assertEquals(given, Files.exists(run));
    assertEquals(sentence.group(), failure(train(config, "1")).group());
  }

  private CommandRun train(Path config, String ranks) {
    return CommandRun.of(
        "train",
        "--text",
        text.toString(),
        "--config",
        config.toString(),
        "--ranks",
        ranks,
        "--out",
        run.toString());
  }

  private static Matcher failure(CommandRun failed) {
    assertEquals(1, failed.exitCode(), failed.toString());
    assertEquals("", failed.out());
    List<String> said = failed.err().lines().filter(line -> line.startsWith("panamoe")).toList();
    assertEquals(1, said.size(), failed.err());
    assertTrue(failed.err().endsWith(said.getFirst() + System.lineSeparator()), failed.err());
    Matcher sentence = FAILED.matcher(said.getFirst());
    assertTrue(sentence.matches(), said.getFirst());
    return sentence;
  }

  private List<String> checkpoints() throws IOException {
    try (Stream<Path> files = Files.list(run.resolve("checkpoints"))) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private static byte[] weights(Path checkpoint) throws IOException {
    try (Stream<Path> files = Files.list(checkpoint)) {
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      for (Path file :
          files.filter(each -> each.toString().endsWith(".safetensors")).sorted().toList()) {
        all.writeBytes(Files.readAllBytes(file));
      }
      return all.toByteArray();
    }
  }
}
