package panamoe.comm.mpi;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.testkit.Mpirun;

/** Processes of an {@link MpiWorld} report a failed rank, and no process remains. */
@Tag("slow")
class MpiFailureTest {
  private static final int RANKS = 3;

  @TempDir private Path folder;

  static Stream<Arguments> troubles() {
    return Stream.of(
        Arguments.of(
            "sizes",
            "world: rank 1 called allReduce FLOAT32 of 5 at layer 3,"
                + " but ranks 0, 2 called allReduce FLOAT32 of 4 at layer 3"),
        Arguments.of(
            "rows", "world at layer 3: rank 1 sends 1999 rows to rank 0, which expects 2000"),
        Arguments.of(
            "order",
            "world: rank 1 called allGather of 2 numbers at layer 3, but ranks 0, 2 called barrier at layer 3"),
        Arguments.of(
            "leaves", "rank 1 closed the world, but rank . waits in barrier at layer 3 of world"),
        Arguments.of(
            "late",
            "rank 1 did not come within \\d+\\.\\d s; rank . waits in barrier at layer 3 of world"),
        Arguments.of("aborts", "rank 1 aborted: no more tokens"));
  }

  @ParameterizedTest
  @MethodSource("troubles")
  void allRanksGiveTheSameSentence(String trouble, String sentence) {
    boolean stuck = trouble.equals("late") || trouble.equals("leaves");
    Mpirun run = run(trouble, stuck ? RANKS - 1 : RANKS);
    List<String> said = new ArrayList<>();
    for (int rank = 0; rank < RANKS; rank++) {
      if (rank != 1 || !stuck) {
        String start = "rank " + rank + ": ";
        assertEquals(1, run.linesFrom(start).size(), run::text);
        said.add(run.linesFrom(start).getFirst().substring(start.length()));
      }
    }
    assertEquals(1, said.stream().distinct().count(), run::text);
    assertTrue(said.getFirst().matches(sentence), run::text);
    assertOver(run);
  }

  @ParameterizedTest
  @ValueSource(strings = {"killed", "killed while others compute"})
  void theOthersNameAKilledRankAtOnce(String trouble) {
    Mpirun run = run(trouble, RANKS - 1);
    for (int rank : new int[] {0, 2}) {
      assertTrue(
          run.lines()
              .contains("rank " + rank + ": rank 1 is gone: its process ended or was killed"),
          run::text);
    }
    assertOver(run);
  }

  @Test
  void aFrozenRankIsNamedWithinTheTimeout() {
    Mpirun run = Mpirun.run(RANKS, FailingRank.class, "frozen");
    assertTrue(
        run.lines().stream()
            .anyMatch(
                line ->
                    line.matches(
                        "rank 0: rank 1 (did not come within|has been silent for) \\d+\\.\\d s.*")),
        run::text);
    assertOver(run);
  }

  @Test
  void aRankThatNeverStartsKeepsNobodyWaitingForever() {
    Mpirun run = Mpirun.run(RANKS, FailingRank.class, "never starts");
    assertEquals(
        List.of(
            "panamoe: rank 0 of 3 waited 12 s for the others to start: a rank never called MPI_Init"),
        run.linesFrom("panamoe: "),
        run::text);
    assertOver(run);
  }

  /**
   * Without the setting in {@code OpenMpi}, UCX's SIGSEGV handler ends the JVM at the first null
   * pointer.
   */
  @Test
  void nullPointersAreStillExceptionsAfterMpiHasStarted() {
    Mpirun run = Mpirun.run(RANKS, FailingRank.class, "nulls");
    assertEquals(0, run.status(), run::text);
    assertEquals(RANKS, run.linesFrom("caught 500").size(), run::text);
    assertEquals(
        RANKS,
        run.lines().stream().filter(line -> line.matches("rank \\d done")).count(),
        run::text);
  }

  @Test
  void withoutTheLibraryOneSentenceSaysSo() {
    List<String> command = new ArrayList<>(Mpirun.java(FailingRank.class, "nulls"));
    command.add(1, "-Dpanamoe.mpi.path=/nowhere/libmpi.so.40");
    Mpirun run = Mpirun.run(command, Map.of());
    assertEquals(
        List.of(
            "rank 0: Open MPI 5 is not there: no file /nowhere/libmpi.so.40, which -Dpanamoe.mpi.path or"
                + " PANAMOE_MPI_PATH names"),
        run.linesFrom("rank 0: "),
        run::text);
    assertEquals(1, run.status());
  }

  @Test
  void aloneItIsAWorldOfOneRank() {
    Mpirun run = Mpirun.run(Mpirun.java(FailingRank.class, "nulls"), Map.of());
    assertTrue(run.lines().contains("rank 0 done"), run::text);
  }

  /** The ranks end once {@code speakers} of them have printed the failure. */
  private Mpirun run(String trouble, int speakers) {
    return Mpirun.run(
        RANKS, FailingRank.class, trouble, folder.toString(), String.valueOf(speakers));
  }

  private static void assertOver(Mpirun run) {
    assertNotEquals(0, run.status(), run::text);
    List<String> pids = run.linesFrom("pid ");
    assertEquals(RANKS, pids.size(), run::text);
    for (String pid : pids) {
      assertDoesNotThrow(
          () ->
              ProcessHandle.of(Long.parseLong(pid.substring(4)))
                  .ifPresent(MpiFailureTest::awaitEnd),
          () -> pid + " is still there after\n" + run.text());
    }
  }

  /** mpirun may exit shortly before the ranks that it kills. */
  private static void awaitEnd(ProcessHandle rank) {
    rank.onExit().orTimeout(5, TimeUnit.SECONDS).join();
  }
}
