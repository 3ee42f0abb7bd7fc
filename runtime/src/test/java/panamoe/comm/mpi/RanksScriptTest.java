package panamoe.comm.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.testkit.Mpirun;

/** {@code ci/ranks}: mpirun with a one-sentence error. */
@Tag("slow")
class RanksScriptTest {
  private static final Path RANKS = Path.of("..", "ci", "ranks").toAbsolutePath().normalize();

  @TempDir Path folder;

  @Test
  void ranksThatSayTheyAreDoneAreASuccess() {
    Mpirun run = ranks(List.of("-n", "2"), Mpirun.java(FailingRank.class, "nulls"));
    assertEquals(0, run.status(), run::text);
    assertEquals(List.of(), run.linesFrom("panamoe: "), run::text);
  }

  @Test
  void aStatusOf0WithoutThatIsNone() {
    Mpirun run = ranks(List.of("-n", "2"), List.of("/bin/true"));
    assertEquals(1, run.status(), run::text);
    assertEquals(1, run.linesFrom("panamoe: the ranks did not finish").size(), run::text);
  }

  @Test
  void aKilledRankIsAFailureInOneSentence() {
    Mpirun run = ranks(List.of("-n", "2"), Mpirun.java(FailingRank.class, "killed"));
    assertNotEquals(0, run.status());
    String reason = "panamoe: the ranks did not finish: prterun noticed that process rank 1";
    assertEquals(1, run.linesFrom(reason).size(), run::text);
    assertTrue(
        run.lines().contains("rank 0: rank 1 is gone: its process ended or was killed"), run::text);
  }

  /** Even if the ranks ignore the signal. */
  @ParameterizedTest
  @ValueSource(strings = {"exec sleep 300", "trap '' TERM; while :; do sleep 1; done"})
  @Timeout(value = 3, unit = TimeUnit.MINUTES)
  void aSignalToEndEndsAllRanks(String rank) throws Exception {
    String script = "echo $$ > " + folder + "/pid.$OMPI_COMM_WORLD_RANK; " + rank;
    Path said = folder.resolve("said");
    Process running =
        new ProcessBuilder(RANKS.toString(), "-n", "2", "--oversubscribe", "sh", "-c", script)
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start();
    try {
      List<Long> pids = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        Path file = folder.resolve("pid." + i);
        while (Files.notExists(file) || !Files.readString(file).endsWith("\n")) {
          assertTrue(running.isAlive(), Files.readString(said));
          Thread.sleep(10);
        }
        pids.add(Long.parseLong(Files.readString(file).strip()));
      }
      running.destroy(); // SIGTERM
      assertEquals(128 + 15, running.waitFor(), Files.readString(said));
      assertEquals("panamoe: the ranks did not finish: ended by SIGTERM\n", Files.readString(said));
      for (long pid : pids) {
        assertFalse(
            ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isPresent(), "an orphan is left");
      }
    } finally {
      running.destroyForcibly();
    }
  }

  @Test
  void aHostThatCannotBeReachedIsNamedBeforeAnythingStarts() throws IOException {
    Path hosts =
        Files.writeString(
            folder.resolve("hosts"), "# two\nlocalhost slots=1\nno-such-host.invalid slots=1\n");
    List<String> options = List.of("--hostfile", hosts.toString(), "-n", "2");
    Mpirun run = ranks(options, Mpirun.java(FailingRank.class, "nulls"));
    assertEquals(1, run.status());
    assertEquals(1, run.lines().size(), run::text);
    assertTrue(
        run.lines().getFirst().startsWith("panamoe: host no-such-host.invalid cannot be reached: "),
        run::text);
  }

  @Test
  void aMissingHostfileIsNamed() {
    Mpirun run = ranks(List.of("--hostfile", "/nowhere/hosts", "-n", "2"), List.of("/bin/true"));
    assertEquals(List.of("panamoe: no hostfile '/nowhere/hosts' that can be read"), run.lines());
    assertEquals(1, run.status());
  }

  private static Mpirun ranks(List<String> options, List<String> program) {
    List<String> command = new ArrayList<>(List.of(RANKS.toString()));
    command.addAll(options);
    command.addAll(program);
    return Mpirun.run(command, Map.of());
  }
}
