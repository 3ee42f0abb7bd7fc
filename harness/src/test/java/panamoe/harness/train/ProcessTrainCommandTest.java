package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;

/** train as processes of a real mpirun. */
class ProcessTrainCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int LIMIT_SECONDS = 180;

  @TempDir private Path folder;
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    String line = "the committee thanks its members for this report.\n";
    text = Files.writeString(folder.resolve("text.txt"), line.repeat(900));
  }

  private record Outcome(int status, String said) {}

  /** Two ranks of the command line, the second one with {@code more} options. */
  private Outcome mpirun(String more, String... options) throws IOException, InterruptedException {
    Path output = folder.resolve("said.txt");
    List<String> command = new ArrayList<>(List.of("mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"));
    command.addAll(List.of("--mca", "pml", "ob1", "--mca", "btl", "self,sm", "--mca", "mpi_yield_when_idle", "1"));
    String script = "[ $OMPI_COMM_WORLD_RANK = 0 ] || more='" + more + "'; exec \"$@\" $more";
    command.addAll(List.of("sh", "-c", script, "sh"));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-XX:+UseSerialGC", "-cp"));
    command.add(System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    command.addAll(List.of(Main.class.getName(), "train", "--text", text.toString(), "--preset", "tiny"));
    command.addAll(List.of(options));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
    builder.environment().put("PANAMOE_NCCL_PATH", CardTrainCommandTest.LIBRARY.toString());
    Process process = builder.start();
    boolean ended = process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS);
    process.destroy();
    assertTrue(ended, () -> "mpirun did not end: " + read(output));
    return new Outcome(process.exitValue(), read(output));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  private List<Double> losses(Path run) throws IOException {
    try (Stream<String> lines = Files.lines(run.resolve("metrics.jsonl"))) {
      List<Double> losses = new ArrayList<>();
      for (String line : lines.toList()) {
        losses.add(JSON.readTree(line).get("loss").asDouble());
      }
      return losses;
    }
  }

  @Test
  void theLossIsThatOfOneRank() throws IOException, InterruptedException {
    Path one = folder.resolve("one");
    Path two = folder.resolve("two");
    Path trace = folder.resolve("trace.json");
    CommandRun alone =
        CommandRun.of("train", "--text", text.toString(), "--preset", "tiny", "--steps", "5", "--out", one.toString());
    assertEquals(0, alone.exitCode(), alone.err());
    Outcome outcome =
        mpirun(
            "", "--steps", "5", "--comm", "mpi", "--ep", "2", "--overlap", "2",
            "--trace", trace.toString(), "--out", two.toString());
    assertEquals(0, outcome.status, outcome.said);
    assertEquals(1, outcome.said.lines().filter(line -> line.contains("trained 5 steps")).count(), outcome.said);
    List<Double> expected = losses(one);
    List<Double> actual = losses(two);
    assertEquals(5, actual.size());
    for (int i = 0; i < 5; i++) {
      assertEquals(expected.get(i), actual.get(i), 1e-4);
    }
    List<String> ranks = JSON.readTree(trace.toFile()).get("traceEvents").findValuesAsText("pid");
    assertTrue(ranks.containsAll(List.of("0", "1")));
  }

  @Test
  void ranksWithDifferentSettingsAreOneSentenceAndLeaveNoFolder() throws IOException, InterruptedException {
    Path run = folder.resolve("run");
    Outcome outcome = mpirun("--seed 2", "--comm", "mpi", "--out", run.toString());
    assertNotEquals(0, outcome.status);
    assertEquals(
        List.of("panamoe train: rank 1 was started with other settings than rank 0"),
        outcome.said.lines().filter(line -> line.contains("panamoe train:")).toList());
    assertFalse(Files.exists(run));
  }

  @Test
  void whatOnlyAnotherRankKnowsIsSaidByIt() throws IOException, InterruptedException {
    Outcome outcome = mpirun("--no-such-option", "--comm", "mpi", "--out", folder.resolve("run").toString());
    assertNotEquals(0, outcome.status);
    assertTrue(outcome.said.contains("rank 1: panamoe train: Unknown option: '--no-such-option'"), outcome.said);
  }

  @Test
  void processesWithoutCardsAreOneSentenceAndLeaveNoFolder() throws IOException, InterruptedException {
    Path run = folder.resolve("run");
    Outcome outcome = mpirun("", "--comm", "nccl", "--device", "cpu", "--out", run.toString());
    assertNotEquals(0, outcome.status);
    List<String> sentences = outcome.said.lines().filter(line -> line.contains("panamoe train:")).toList();
    assertEquals(1, sentences.size(), outcome.said);
    assertTrue(sentences.getFirst().contains("--device cpu is no card, and every rank that NCCL joins"), outcome.said);
    assertFalse(Files.exists(run));
  }

  @Test
  void processesWithoutACommunicatorAreOneSentence() throws IOException, InterruptedException {
    Outcome outcome = mpirun("", "--out", folder.resolve("run").toString());
    assertNotEquals(0, outcome.status);
    List<String> sentences = outcome.said.lines().filter(line -> line.contains("panamoe train:")).toList();
    assertEquals(1, sentences.size(), outcome.said);
    assertTrue(sentences.getFirst().contains("--comm mpi makes them ranks of one run"), outcome.said);
  }
}
