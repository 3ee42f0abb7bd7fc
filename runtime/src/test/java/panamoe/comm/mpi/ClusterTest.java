package panamoe.comm.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Ranks on several "nodes", which are network namespaces of this machine: {@code ci/cluster}. */
class ClusterTest {
  private static final Path RUN = Path.of("..", "ci", "cluster", "run").toAbsolutePath().normalize();

  @Test
  void keepsTheContractOnTwoNodes() {
    Mpirun run = cluster(List.of("--nodes", "2", "--ranks", "2"), ContractOnRanks.class, "1073741824");
    assertEquals(0, run.status(), run::text);
    for (int rank = 0; rank < 4; rank++) {
      String passed = "rank " + rank + " of 4 passed ";
      assertEquals(1, run.linesFrom(passed).size(), run::text);
      assertTrue(run.linesFrom(passed).getFirst().endsWith("cases on node " + rank / 2), run::text);
    }
    assertEquals(1, run.linesFrom("cluster: node1 sent ").size(), run::text);
    assertEquals(1, run.linesFrom("cluster: node2 sent ").size(), run::text);
  }

  @Test
  void delaysWhatGoesBetweenNodes() {
    Mpirun run = cluster(List.of("--nodes", "2", "--ranks", "1", "--delay", "3000"), BarrierTime.class);
    assertEquals(0, run.status(), run::text);
    for (int rank = 0; rank < 2; rank++) {
      String[] words = run.linesFrom("rank " + rank + " barrier ").getFirst().split(" ");
      assertTrue(Long.parseLong(words[3]) >= 2700, run::text);
    }
  }

  @Test
  void aRankKilledOnItsNodeIsNamedByTheOthers() {
    Mpirun run = cluster(List.of("--nodes", "3", "--ranks", "1"), TroubledRank.class, "killed");
    for (int rank : new int[] {0, 2}) {
      assertTrue(
          run.lines().contains("rank " + rank + ": rank 1 is gone: its process ended or was killed"), run::text);
    }
    assertTrue(run.status() != 0 && run.took().toSeconds() < 10, run::text);
  }

  private static Mpirun cluster(List<String> options, Class<?> main, String... arguments) {
    List<String> command = new ArrayList<>(List.of(RUN.toString()));
    command.addAll(options);
    command.addAll(Mpirun.java(main, arguments));
    return Mpirun.run(command, Map.of());
  }
}
