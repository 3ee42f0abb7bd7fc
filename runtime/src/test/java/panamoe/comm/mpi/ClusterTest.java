package panamoe.comm.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import panamoe.testkit.Mpirun;

/**
 * {@link MpiWorld} and exchanges over several nodes, simulated by network namespaces: {@code
 * ci/cluster}.
 */
@Tag("slow")
class ClusterTest {
  private static final Path RUN =
      Path.of("..", "ci", "cluster", "run").toAbsolutePath().normalize();

  @Test
  void keepsTheContractOnTwoNodes() {
    Mpirun run =
        cluster(List.of("--nodes", "2", "--ranks", "2"), ContractOnRanks.class, "1073741824");
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
    Mpirun run =
        cluster(List.of("--nodes", "2", "--ranks", "1", "--delay", "3000"), BarrierTime.class);
    assertEquals(0, run.status(), run::text);
    for (int rank = 0; rank < 2; rank++) {
      String[] words = run.linesFrom("rank " + rank + " barrier ").getFirst().split(" ");
      assertTrue(Long.parseLong(words[3]) >= 2700, run::text);
    }
  }

  @Test
  void aRankKilledOnItsNodeIsNamedByTheOthers() {
    Mpirun run = cluster(List.of("--nodes", "3", "--ranks", "1"), FailingRank.class, "killed");
    for (int rank : new int[] {0, 2}) {
      assertTrue(
          run.lines()
              .contains("rank " + rank + ": rank 1 is gone: its process ended or was killed"),
          run::text);
    }
    // Nobody waited for the timeout.
    assertTrue(run.status() != 0 && run.took().compareTo(FailingRank.PATIENT) < 0, run::text);
  }

  private record Exchanged(int near, int far, long farBytes, String bits) {}

  private static Exchanged exchanged(Mpirun run, int rank, String way) {
    String start = "rank " + rank + " " + way + ": ";
    assertEquals(1, run.linesFrom(start).size(), run::text);
    Matcher words =
        Pattern.compile("(\\d+) near and (\\d+) far messages, (\\d+) far bytes, bits (\\w+)")
            .matcher(run.linesFrom(start).getFirst().substring(start.length()));
    assertTrue(words.matches(), run::text);
    return new Exchanged(
        Integer.parseInt(words.group(1)),
        Integer.parseInt(words.group(2)),
        Long.parseLong(words.group(3)),
        words.group(4));
  }

  @Test
  void everyWayOfExchangeBringsTheSameBits() {
    Mpirun run = cluster(List.of("--nodes", "2", "--ranks", "2"), ExchangeOnRanks.class);
    assertEquals(0, run.status(), run::text);
    for (int rank = 0; rank < 4; rank++) {
      Exchanged flat = exchanged(run, rank, "FLAT");
      Exchanged hierarchical = exchanged(run, rank, "HIERARCHICAL");
      assertEquals(flat.bits, hierarchical.bits, run::text);
      // p - 1 messages, or (G - 1) + (N - 1).
      assertEquals(List.of(1, 2), List.of(flat.near, flat.far), run::text);
      assertEquals(List.of(1, 1), List.of(hierarchical.near, hierarchical.far), run::text);
      Exchanged alike = exchanged(run, rank, "ALIKE");
      Exchanged coordinated = exchanged(run, rank, "COORDINATED");
      assertEquals(alike.bits, coordinated.bits, run::text);
      // The tensor ranks of a node split the rows that each would send.
      assertEquals(
          alike.farBytes,
          coordinated.farBytes + exchanged(run, rank ^ 1, "COORDINATED").farBytes,
          run::text);
    }
    // Nodes exchange equally many bytes, perhaps from other ranks.
    for (int node = 0; node < 2; node++) {
      long flat =
          exchanged(run, 2 * node, "FLAT").farBytes + exchanged(run, 2 * node + 1, "FLAT").farBytes;
      long two =
          exchanged(run, 2 * node, "HIERARCHICAL").farBytes
              + exchanged(run, 2 * node + 1, "HIERARCHICAL").farBytes;
      assertEquals(flat, two, run::text);
    }
  }

  private static Mpirun cluster(List<String> options, Class<?> main, String... arguments) {
    List<String> command = new ArrayList<>(List.of(RUN.toString()));
    command.addAll(options);
    command.addAll(Mpirun.java(main, arguments));
    return Mpirun.run(command, Map.of());
  }
}
