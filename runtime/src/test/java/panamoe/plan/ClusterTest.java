package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.io.ConfigJson;

class ClusterTest {
  @TempDir private Path folder;

  private static List<Integer> parts(String cluster) {
    return Cluster.of(cluster).parts().stream().map(Cluster::cards).toList();
  }

  @Test
  void partsDivideANodeOrAreWholeNodes() {
    assertEquals(List.of(1, 2, 4), parts("dgx-a100:4"));
    assertEquals(List.of(1, 2, 4, 8, 16, 32), parts("dgx-a100:32"));
    assertEquals(List.of(1, 2, 4, 8, 16, 24, 32, 48), parts("dgx-a100:48"));
  }

  @Test
  void knownNodesAreNamedAsTheirKeys() {
    assertEquals(5, Node.KNOWN.size());
    Node.KNOWN.forEach((name, node) -> assertEquals(name, node.name()));
  }

  @Test
  void aFileHoldsAClusterOfItsOwn() throws IOException {
    Cluster cluster = Cluster.of("hgx-h200:16");
    Path file = Files.writeString(folder.resolve("c.json"), ConfigJson.text(cluster));
    assertEquals(cluster, Cluster.of(file.toString()));
    Files.writeString(file, Files.readString(file).replace("\"published\"", "\"guessed\""));
    String refusal =
        assertThrows(IllegalArgumentException.class, () -> Cluster.of(file.toString()))
            .getMessage();
    assertTrue(refusal.startsWith(file + ": "), refusal);
    assertEquals(1, refusal.lines().count());
  }
}
