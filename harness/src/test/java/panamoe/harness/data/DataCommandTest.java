package panamoe.harness.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.data.TinyTokenizer;
import panamoe.eval.Task;
import panamoe.eval.TaskFile;
import panamoe.harness.CommandRun;

class DataCommandTest {
  private static final String LINE = "The committee thanks the other members for the vote.\n";

  @TempDir private Path folder;
  private Path text;
  private Path tokenizer;
  private Path tokens;

  @BeforeEach
  void write() throws IOException {
    text = Files.writeString(folder.resolve("text.txt"), LINE.repeat(400));
    tokenizer =
        Files.write(
            folder.resolve("given.json"),
            TinyTokenizer.MAPPER.writeValueAsBytes(TinyTokenizer.json()));
    tokens = folder.resolve("tokens");
  }

  @Test
  void aRunOnPreparedTokensHasTheBitsOfARunOnTheText() throws IOException {
    Path onText = folder.resolve("on-text");
    Path onTokens = folder.resolve("on-tokens");
    passes("data", "prepare", "--text", text, "--tokenizer", tokenizer, "--out", tokens);
    passes(
        "train",
        "--preset",
        "tiny",
        "--steps",
        "6",
        "--text",
        text,
        "--tokenizer",
        tokenizer,
        "--out",
        onText);
    passes("train", "--out", onText, "--resume", "--steps", "12");
    Files.delete(text); // prepared tokens need no text
    passes("train", "--preset", "tiny", "--steps", "6", "--data", tokens, "--out", onTokens);
    Path moved = Files.move(tokens, folder.resolve("moved"));
    refused(1, "by --data", "train", "--out", onTokens, "--resume", "--steps", "12");
    passes("train", "--out", onTokens, "--resume", "--steps", "12", "--data", moved);
    assertEquals(losses(onText), losses(onTokens));
    assertArrayEquals(
        Files.readAllBytes(onText.resolve("tokenizer.json")),
        Files.readAllBytes(onTokens.resolve("tokenizer.json")));
    try (Stream<Path> files = Files.list(onText.resolve("checkpoints/step-00000012"))) {
      List<Path> saved = files.toList();
      assertTrue(saved.size() > 3, saved.toString());
      for (Path file : saved) {
        Path same = onTokens.resolve("checkpoints/step-00000012").resolve(file.getFileName());
        assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(same), file.toString());
      }
    }
    assertTrue(passes("eval", onTokens).out().contains("validation part of " + moved));
  }

  @Test
  void badTokensAreRefusedBeforeTheRunIsMade() throws IOException {
    passes("data", "prepare", "--text", text, "--out", tokens);
    Path run = folder.resolve("run");
    Object[] train = {"train", "--preset", "tiny", "--data", tokens, "--out", run};
    Path shard = tokens.resolve("training-00000.tokens");
    byte[] bad = Files.readAllBytes(shard);
    bad[bad.length - 1] ^= 1;
    Files.write(shard, bad);
    refused(1, shard + " is damaged", train);
    Files.write(shard, Arrays.copyOf(bad, bad.length - 2));
    refused(1, shard + " has ", train);
    assertFalse(Files.exists(run));
  }

  @Test
  void wrongUsageIsOneSentence() throws IOException {
    Path out = folder.resolve("out");
    refused(2, "--data holds", "train", "--data", tokens, "--text", text, "--out", out);
    refused(2, "--data holds", "train", "--data", tokens, "--languages", "en", "--out", out);
    refused(2, "--data has", "train", "--data", tokens, "--tokenizer", tokenizer, "--out", out);
    refused(1, "holds no prepared text", "train", "--data", folder, "--out", out);
    refused(1, "is not empty", "data", "prepare", "--text", text, "--out", folder);
    refused(1, "is a file", "data", "prepare", "--text", text, "--out", text);
    Path below = text.resolve("below");
    String unmade = "cannot make the folder " + below + ": " + text + " is a file";
    refused(1, unmade, "data", "prepare", "--text", folder.resolve("none"), "--out", below);
    refused(1, unmade, "data", "tasks", "--languages", "xx", "--out", below);
    refused(2, "--out", "data", "prepare", "--text", text);
    refused(1, "is not empty", "data", "tasks", "--out", folder);
    refused(2, "no language 'xx'", "data", "tasks", "--languages", "xx", "--out", out);
    refused(2, "--count is 0", "data", "tasks", "--count", "0", "--out", out);
    assertFalse(Files.exists(out));
    assertEquals(0, run("data").exitCode());
  }

  @Test
  void tasksHaveOneRightAnswerAndRepeat() throws IOException {
    Path out = folder.resolve("tasks");
    CommandRun made = passes("data", "tasks", "--count", "60", "--out", out);
    assertTrue(made.err().startsWith("reading the default corpus"), made.err());
    Path again = folder.resolve("again");
    passes("data", "tasks", "--count", "60", "--out", again);
    Path other = folder.resolve("other");
    passes("data", "tasks", "--count", "60", "--seed", "2", "--out", other);
    for (String name : List.of("language.jsonl", "last-word.jsonl", "word.jsonl")) {
      List<Task> tasks = TaskFile.read(out.resolve(name));
      assertEquals(60, tasks.size());
      assertEquals(tasks, TaskFile.read(again.resolve(name)));
      assertFalse(tasks.equals(TaskFile.read(other.resolve(name))));
      for (Task task : tasks) {
        if (task instanceof Task.Choice choice) {
          assertEquals(4, choice.choices().stream().distinct().count(), choice.toString());
        }
      }
    }
  }

  private static List<String> losses(Path run) throws IOException {
    return Files.readAllLines(run.resolve("metrics.jsonl")).stream()
        .map(line -> line.replaceAll("\"(seconds|tokens_per_s)\":[^,}]*", ""))
        .toList();
  }

  private static CommandRun passes(Object... arguments) {
    CommandRun run = run(arguments);
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private static void refused(int exitCode, String expected, Object... arguments) {
    CommandRun run = run(arguments);
    assertEquals(exitCode, run.exitCode(), run.err());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains(expected), run.err());
  }

  private static CommandRun run(Object... arguments) {
    return CommandRun.of(Arrays.stream(arguments).map(Object::toString).toArray(String[]::new));
  }
}
