package panamoe.harness.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.SpoiledWeights;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code eval} as a user runs it, on a model of a few steps. */
class EvalCommandTest {
  private static final String LINE = "The committee thanks the members for the vote.\n";

  @TempDir private Path folder;
  private Path text;
  private Path run;

  @BeforeEach
  void train() throws IOException {
    text = Files.writeString(folder.resolve("text.txt"), LINE.repeat(400));
    run = folder.resolve("run");
    CommandRun trained =
        run("train", "--preset", "tiny", "--steps", "30", "--text", text, "--out", run);
    assertEquals(0, trained.exitCode(), trained.err());
  }

  @Test
  void itsOwnTextScoresAsTrainingSays() throws IOException {
    CommandRun measured = run("eval", run, "--window", "64", "--json");
    assertEquals(0, measured.exitCode(), measured.err());
    JsonNode json = JsonMapper.shared().readTree(measured.out());
    String last = Files.readAllLines(run.resolve("metrics.jsonl")).getLast();
    double ofTraining =
        JsonMapper.shared().readTree(last).path("validation_bits_per_byte").asDouble();
    assertEquals(ofTraining, json.path("bits_per_byte").asDouble(), 1e-9, measured.out());
    assertEquals(measured.out(), run("eval", run, "--window", "64", "--json").out());

    CommandRun words = run("eval", run);
    assertTrue(words.out().contains(" bits per byte; per token "), words.out());
    Files.writeString(text, LINE.repeat(401));
    refused(1, "has changed since", "eval", run);
    Files.delete(text);
    refused(1, "the run's text is no longer at " + text, "eval", run);
  }

  @Test
  void roundedExpertsCostALittle() throws IOException {
    double exact = bits("eval", run, "--json");
    double bytes = bits("eval", run, "--json", "--quantize", "int8");
    double nibbles = bits("eval", run, "--json", "--quantize", "int4", "--dtype", "bf16");
    assertNotEquals(exact, bytes);
    assertEquals(exact, bytes, 0.01);
    assertNotEquals(bytes, nibbles);
    assertEquals(exact, nibbles, 0.3);
    refused(2, "--quantize", "eval", run, "--quantize", "int3");
    CommandRun written =
        run(
            "generate",
            "--model",
            run,
            "--prompt",
            "The",
            "--max-tokens",
            "5",
            "--quantize",
            "int8");
    assertEquals(0, written.exitCode(), written.err());
  }

  private Path trainTop2() {
    Path top2 = folder.resolve("top2");
    CommandRun trained =
        run(
            "train",
            "--preset",
            "tiny",
            "--arch",
            "deepseek",
            "--steps",
            "20",
            "--text",
            text,
            "--out",
            top2);
    assertEquals(0, trained.exitCode(), trained.err());
    return top2;
  }

  @Test
  void fewerExpertsAreMeasuredBesideAllOfThem() throws IOException {
    Path top2 = trainTop2();
    List<String> lines =
        run("eval", top2, "--json", "--experts-per-token", "1").out().lines().toList();
    assertEquals(2, lines.size(), lines.toString());
    JsonNode all = JsonMapper.shared().readTree(lines.getFirst());
    JsonNode one = JsonMapper.shared().readTree(lines.getLast());
    assertEquals(2, all.path("experts_per_token").path(0).asInt());
    assertEquals(1, one.path("experts_per_token").path(0).asInt());
    double bits = all.path("bits_per_byte").asDouble();
    assertEquals(bits("eval", top2, "--json"), bits);
    assertNotEquals(bits, one.path("bits_per_byte").asDouble());
    String words = run("eval", top2, "--experts-per-token", "1").out();
    assertTrue(words.contains("experts per token: [2]"), words);
    assertTrue(words.strip().endsWith(" % bits per byte"), words);
    refused(2, "expected 1 to 2", "eval", top2, "--experts-per-token", "3");
    refused(2, "--experts-per-token has no number", "eval", top2, "--experts-per-token", ",");
    refused(2, "expected 1 to 2", "generate", "--model", top2, "--experts-per-token", "0");
  }

  @Test
  void expertsOnTheDiskChangeNoBit() throws IOException {
    Path top2 = trainTop2();
    Path cache = folder.resolve("cache");
    CommandRun read = run("eval", top2, "--json", "--memory", "0.6m", "--expert-cache", cache);
    assertEquals(0, read.exitCode(), read.err());
    JsonNode json = JsonMapper.shared().readTree(read.out());
    assertEquals(bits("eval", top2, "--json"), json.path("bits_per_byte").asDouble());
    assertTrue(read.err().contains("experts: "), read.err());
    refused(2, "'7x' is not a size", "eval", top2, "--memory", "7x");
    refused(1, "MiB of --memory or more, not 102.4 KiB", "eval", top2, "--memory", "0.1m");
    Path file = Files.writeString(folder.resolve("file"), "");
    String reason = "(" + file + " is a file, not a folder)";
    refused(1, reason, "eval", top2, "--memory", "0.6m", "--expert-cache", file);
  }

  private static double bits(Object... arguments) throws IOException {
    CommandRun measured = run(arguments);
    assertEquals(0, measured.exitCode(), measured.err());
    return JsonMapper.shared().readTree(measured.out()).path("bits_per_byte").asDouble();
  }

  @Test
  void anotherTextIsMeasuredWhole() throws IOException {
    Path other = Files.writeString(folder.resolve("other.txt"), LINE);
    CommandRun measured = run("eval", run, "--text", other, "--json");
    JsonNode json = JsonMapper.shared().readTree(measured.out());
    assertEquals(LINE.length(), json.path("tokens").asInt(), measured.out());
    assertEquals(LINE.length() - 1, json.path("bytes").asInt(), "all but the first");
    double bits = json.path("bits_per_byte").asDouble();
    double nats = json.path("nats_per_token").asDouble();
    assertEquals(bits * (LINE.length() - 1), nats / Math.log(2) * LINE.length(), 1e-6);
    refused(1, "does not exist", "eval", run, "--text", folder.resolve("none"));
    Path one = Files.writeString(folder.resolve("one.txt"), "x");
    refused(1, one + " is too short to measure", "eval", run, "--text", one);
    Path prepared = folder.resolve("prepared");
    assertEquals(0, run("data", "prepare", "--text", text, "--out", prepared).exitCode());
    refused(1, prepared + " holds prepared tokens, not text", "eval", run, "--text", prepared);
  }

  @Test
  void tasksAreCountedByKind() throws IOException {
    Path tasks =
        Files.write(
            folder.resolve("tasks.jsonl"),
            List.of(
                "{\"kind\":\"last_word\",\"text\":\"thanks for the vote.\"}",
                "{\"kind\":\"choice\",\"context\":\"The committee\",\"choices\":[\" thanks\",\" qqqqqq\"],"
                    + "\"answer\":0}",
                "{\"kind\":\"choice\",\"context\":\"The committee\",\"choices\":[\" thanks\",\" qqqqqq\"],"
                    + "\"answer\":1}"));
    CommandRun measured = run("eval", run, "--tasks", tasks, "--json");
    assertEquals(0, measured.exitCode(), measured.err());
    List<String> lines = measured.out().lines().toList();
    assertEquals(2, lines.size());
    JsonNode choice = JsonMapper.shared().readTree(lines.getLast());
    assertEquals("choice", choice.path("kind").asString());
    assertEquals(2, choice.path("tasks").asInt());
    assertEquals(1, choice.path("correct").asInt(), measured.out());
    assertEquals(0.5, choice.path("per_byte_accuracy").asDouble());
    assertEquals(2, choice.path("interval").size());
    CommandRun words = run("eval", run, "--tasks", tasks);
    assertEquals(0.5, choice.path("accuracy_error").asDouble(), 1e-12);
    assertTrue(words.out().contains("choice: 1 of 2 right, 50.0 ± 50.0 % (95 %: "), words.out());

    Path questions =
        Files.writeString(
            folder.resolve("questions.jsonl"),
            "{\"kind\":\"answer\",\"context\":\"The\",\"answers\":[\"committee\"]}\n".repeat(2));
    CommandRun written =
        run("eval", run, "--tasks", questions, "--shots", 1, "--examples", questions);
    assertTrue(written.out().contains("F1 "), written.out() + written.err());
    refused(2, "--shots K and --examples FILE go together", "eval", run, "--shots", 1);
    refused(
        2,
        "3 examples are asked for, but there are 2",
        "eval",
        run,
        "--tasks",
        questions,
        "--shots",
        3,
        "--examples",
        questions);
    Files.writeString(tasks, "\n");
    refused(1, tasks + ", line 1: ", "eval", run, "--tasks", tasks);
  }

  @Test
  void spoiledWeightsAreRefused() throws IOException {
    Path checkpoint = run.resolve("checkpoints/step-00000030");
    SpoiledWeights.enlarged(checkpoint);
    String diverged = "; its weights are damaged, or training diverged";
    refused(1, diverged, "eval", run);
    CommandRun written = run("generate", "--model", run, "--prompt", "The");
    assertEquals(1, written.exitCode());
    assertEquals("The" + System.lineSeparator(), written.out());
    assertTrue(written.err().contains(diverged), written.err());
    SpoiledWeights.withNaN(checkpoint);
    refused(1, "in 1 tensor: embedding.weight (1 values)", "eval", run, "--json");
  }

  @Test
  void wrongUsageIsOneSentence() {
    refused(2, "--tasks does not go with --text", "eval", run, "--tasks", text, "--text", text);
    refused(2, "--window is 0, expected 1 to", "eval", run, "--window", "0");
    refused(2, "MODEL", "eval");
    refused(1, folder.toString(), "eval", folder.resolve("none"));
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
