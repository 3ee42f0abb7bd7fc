package panamoe.comm.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code ci/ranks}: mpirun with one sentence where it fails. */
class RanksScriptTest {
  private static final Path RANKS = Path.of("..", "ci", "ranks").toAbsolutePath().normalize();

  @TempDir Path folder;

  @Test
  void ranksThatSayTheyAreDoneAreASuccess() {
    Mpirun run = ranks(List.of("-n", "2"), Mpirun.java(TroubledRank.class, "nulls"));
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
    Mpirun run = ranks(List.of("-n", "2"), Mpirun.java(TroubledRank.class, "killed"));
    assertNotEquals(0, run.status());
    String reason = "panamoe: the ranks did not finish: prterun noticed that process rank 1";
    assertEquals(1, run.linesFrom(reason).size(), run::text);
    assertTrue(run.lines().contains("rank 0: rank 1 is gone: its process ended or was killed"), run::text);
  }

  @Test
  void aHostThatCannotBeReachedIsNamedBeforeAnythingStarts() throws IOException {
    Path hosts = Files.writeString(folder.resolve("hosts"), "# two\nlocalhost slots=1\nno-such-host.invalid slots=1\n");
    List<String> options = List.of("--hostfile", hosts.toString(), "-n", "2");
    Mpirun run = ranks(options, Mpirun.java(TroubledRank.class, "nulls"));
    assertEquals(1, run.status());
    assertEquals(1, run.lines().size(), run::text);
    assertTrue(run.lines().getFirst().startsWith("panamoe: host no-such-host.invalid cannot be reached: "), run::text);
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
