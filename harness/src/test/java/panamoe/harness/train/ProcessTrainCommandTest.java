package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.bindings.NativeLibrary;
import panamoe.harness.CommandRun;
import panamoe.harness.ranks.BuildHash;
import panamoe.harness.train.RankProcesses.TrainingResult;
import tools.jackson.databind.json.JsonMapper;

/** {@code train} as processes of a real mpirun. */
@Tag("slow")
class ProcessTrainCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();

  @TempDir private Path folder;
  private RankProcesses ranks;

  @BeforeEach
  void makeRanks() throws IOException {
    ranks = new RankProcesses(folder);
  }

  @AfterEach
  void endRanks() {
    ranks.close();
  }

  private void trainAlone(Path run) {
    CommandRun alone =
        CommandRun.of(
            "train",
            "--text",
            ranks.text().toString(),
            "--preset",
            "tiny",
            "--steps",
            "5",
            "--out",
            run.toString());
    assertEquals(0, alone.exitCode(), alone.err());
  }

  private static void assertClose(List<Double> expected, List<Double> actual) {
    assertEquals(5, actual.size());
    for (int i = 0; i < 5; i++) {
      assertEquals(expected.get(i), actual.get(i), 1e-4, "step " + (i + 1));
    }
  }

  @Test
  void theLossIsThatOfOneRank() throws IOException, InterruptedException {
    Path one = folder.resolve("one");
    Path two = folder.resolve("two");
    Path trace = folder.resolve("trace.json");
    trainAlone(one);
    TrainingResult outcome =
        ranks.run(
            2,
            RankProcesses.ALIKE,
            "--preset",
            "tiny",
            "--steps",
            "5",
            "--comm",
            "mpi",
            "--ep",
            "2",
            "--overlap",
            "2",
            "--trace",
            trace.toString(),
            "--out",
            two.toString());
    assertEquals(0, outcome.status(), outcome.said());
    assertEquals(
        1,
        outcome.said().lines().filter(line -> line.contains("trained 5 steps")).count(),
        outcome.said());
    assertClose(Losses.of(one), Losses.of(two));
    List<String> lanes = JSON.readTree(trace.toFile()).get("traceEvents").findValuesAsString("pid");
    assertTrue(lanes.containsAll(List.of("0", "1")));
  }

  @ParameterizedTest
  @CsvSource({"4,2,2,1", "8,4,4,2"})
  void theLossIsThatOfOneRankWithExpertsAndTensorsSpread(
      int count, String experts, String tensor, String slices)
      throws IOException, InterruptedException {
    Path one = folder.resolve("one");
    Path many = folder.resolve("many");
    trainAlone(one);
    TrainingResult outcome =
        ranks.run(
            count,
            RankProcesses.ALIKE,
            "--preset",
            "tiny",
            "--steps",
            "5",
            "--comm",
            "mpi",
            "--ep",
            experts,
            "--tp",
            tensor,
            "--expert-slices",
            slices,
            "--out",
            many.toString());
    assertEquals(0, outcome.status(), outcome.said());
    assertClose(Losses.of(one), Losses.of(many));
  }

  @Test
  void ranksWithDifferentSettingsAreOneSentenceAndLeaveNoFolder()
      throws IOException, InterruptedException {
    Path run = folder.resolve("run");
    TrainingResult outcome =
        ranks.run(
            2,
            "set -- \"$@\" --seed 2",
            "--preset",
            "tiny",
            "--comm",
            "mpi",
            "--out",
            run.toString());
    assertNotEquals(0, outcome.status());
    assertEquals(
        List.of("panamoe train: rank 1 has seed 2 where rank 0 has 1"),
        outcome.said().lines().filter(line -> line.contains("panamoe train:")).toList());
    assertFalse(Files.exists(run));
  }

  @Test
  void ranksWithDifferentNativeLibrariesAreOneSentenceAndLeaveNoFolder()
      throws IOException, InterruptedException {
    Path library = Files.copy(NativeLibrary.file().orElseThrow(), folder.resolve("libpanamoe.so"));
    Files.write(library, new byte[] {0}, StandardOpenOption.APPEND);
    Path run = folder.resolve("run");
    TrainingResult outcome =
        ranks.run(
            2,
            "export PANAMOE_NATIVE_PATH=" + library,
            "--preset",
            "tiny",
            "--comm",
            "mpi",
            "--out",
            run.toString());
    assertNotEquals(0, outcome.status());
    List<String> sentences =
        outcome.said().lines().filter(line -> line.contains("panamoe train:")).toList();
    assertEquals(1, sentences.size(), outcome.said());
    String expected =
        "panamoe train: rank 1 has native library of checksum [0-9a-f]+ where rank 0 has "
            + BuildHash.ofLibrary();
    assertTrue(sentences.getFirst().matches(expected), outcome.said());
    assertFalse(Files.exists(run));
  }

  @Test
  void aFinishedRunSaysSoOnceAndWithoutItsText() throws IOException, InterruptedException {
    Path run = folder.resolve("run");
    trainAlone(run);
    Files.delete(ranks.text());
    TrainingResult outcome =
        ranks.run(2, RankProcesses.ALIKE, "--comm", "mpi", "--resume", "--out", run.toString());
    assertEquals(0, outcome.status(), outcome.said());
    assertEquals(
        1,
        outcome
            .said()
            .lines()
            .filter(line -> line.startsWith("already complete: 5 steps"))
            .count());
  }

  /**
   * Simulates a network file system that still shows one machine the folder before the run's end.
   */
  @Test
  void aRunThatIsFinishedForOneRankAloneIsOneSentence() throws IOException, InterruptedException {
    Path run = folder.resolve("run");
    Path before = Files.createDirectory(folder.resolve("before"));
    trainAlone(run);
    for (String file : List.of("config.json", "text.json")) {
      Files.copy(run.resolve(file), before.resolve(file));
    }
    String seesBefore =
        "for each; do shift; [ \"$each\" != "
            + run
            + " ] || each="
            + before
            + "; set -- \"$@\" \"$each\"; done";
    TrainingResult outcome =
        ranks.run(2, seesBefore, "--comm", "mpi", "--resume", "--out", run.toString());
    assertNotEquals(0, outcome.status());
    assertEquals(
        List.of(
            "panamoe train: rank 1 has in the run's folder, which must look the same on all machines,"
                + " an unfinished run where rank 0 has a finished run"),
        outcome.said().lines().filter(line -> line.contains("panamoe train:")).toList());
  }

  @Test
  void whatOnlyAnotherRankKnowsIsSaidByIt() throws IOException, InterruptedException {
    TrainingResult outcome =
        ranks.run(
            2,
            "set -- \"$@\" --no-such-option",
            "--preset",
            "tiny",
            "--comm",
            "mpi",
            "--out",
            folder.resolve("run").toString());
    assertNotEquals(0, outcome.status());
    assertTrue(
        outcome.said().contains("rank 1: panamoe train: Unknown option: '--no-such-option'"),
        outcome.said());
  }

  @Test
  void processesWithoutCardsAreOneSentenceAndLeaveNoFolder()
      throws IOException, InterruptedException {
    Path run = folder.resolve("run");
    TrainingResult outcome =
        ranks.run(
            2,
            RankProcesses.ALIKE,
            "--preset",
            "tiny",
            "--comm",
            "nccl",
            "--device",
            "cpu",
            "--out",
            run.toString());
    assertNotEquals(0, outcome.status());
    List<String> sentences =
        outcome.said().lines().filter(line -> line.contains("panamoe train:")).toList();
    assertEquals(1, sentences.size(), outcome.said());
    assertTrue(
        sentences.getFirst().contains("--device cpu is not a GPU, and every rank that NCCL joins"),
        outcome.said());
    assertFalse(Files.exists(run));
  }

  @Test
  void processesWithoutACommunicatorAreOneSentence() throws IOException, InterruptedException {
    TrainingResult outcome =
        ranks.run(
            2, RankProcesses.ALIKE, "--preset", "tiny", "--out", folder.resolve("run").toString());
    assertNotEquals(0, outcome.status());
    List<String> sentences =
        outcome.said().lines().filter(line -> line.contains("panamoe train:")).toList();
    assertEquals(1, sentences.size(), outcome.said());
    assertTrue(
        sentences.getFirst().contains("--comm mpi makes them ranks of one run"), outcome.said());
  }
}
