package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;
import panamoe.harness.train.RankProcesses.TrainingResult;

/**
 * When a rank of a training run is killed, the others end, and the run resumes from its last
 * checkpoint.
 */
@Tag("slow")
class LostRankTest {
  private static final int RANKS = 4;
  private static final int STEPS = 16;
  private static final int BOUND_SECONDS = 10;

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void theOthersNameAKilledRankAndTheRunIsResumed(int killed) throws Exception {
    Path config = TinyRun.config(folder, STEPS);
    Path undisturbed = folder.resolve("undisturbed");
    Path run = folder.resolve("run");
    try (RankProcesses ranks = new RankProcesses(folder)) {
      // Threads and processes compute equal bits.
      CommandRun threads =
          CommandRun.of(
              "train",
              "--text",
              ranks.text().toString(),
              "--config",
              config.toString(),
              "--ranks",
              String.valueOf(RANKS),
              "--ep",
              "2",
              "--tp",
              "2",
              "--out",
              undisturbed.toString());
      assertEquals(0, threads.exitCode(), threads.err());

      ranks.start(
          RANKS,
          RankProcesses.ALIKE,
          "--config",
          config.toString(),
          "--comm",
          "mpi",
          "--ep",
          "2",
          "--tp",
          "2",
          "--out",
          run.toString());
      while (!Files.exists(run.resolve("checkpoints/latest"))) {
        assertTrue(ranks.running(), ranks::said);
        Thread.sleep(1);
      }
      List<ProcessHandle> jvms =
          IntStream.range(0, RANKS).mapToObj(ranks::jvm).flatMap(Optional::stream).toList();
      assertEquals(RANKS, jvms.size(), ranks::said);
      jvms.get(killed).destroyForcibly();
      for (ProcessHandle jvm : jvms) {
        assertDoesNotThrow(() -> jvm.onExit().get(BOUND_SECONDS, TimeUnit.SECONDS), ranks::said);
      }
      TrainingResult outcome = ranks.await();
      assertNotEquals(0, outcome.status(), outcome.said());
      for (int rank = 0; rank < RANKS; rank++) {
        String sentence =
            "rank %d: rank %d is gone: its process ended or was killed".formatted(rank, killed);
        assertEquals(
            rank != killed, outcome.said().lines().anyMatch(sentence::equals), outcome.said());
      }

      TrainingResult resumed =
          ranks.run(
              RANKS,
              RankProcesses.ALIKE,
              "--resume",
              "--comm",
              "mpi",
              "--ep",
              "2",
              "--tp",
              "2",
              "--out",
              run.toString());
      assertEquals(0, resumed.status(), resumed.said());
      assertTrue(resumed.said().contains("continuing after step "), resumed.said());
      assertEquals(STEPS, Losses.of(undisturbed).size());
      assertEquals(Losses.of(undisturbed), Losses.of(run));
    }
  }
}
