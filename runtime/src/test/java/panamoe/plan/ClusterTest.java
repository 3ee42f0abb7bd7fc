package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.io.ConfigJson;

class ClusterTest {
  @TempDir private Path folder;

  private static List<Integer> parts(String cluster) {
    return Cluster.of(cluster).parts().stream().map(Cluster::devices).toList();
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

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "bytes/s      | GB/s      | bandwidth is in 'GB/s', expected 'bytes/s'",
        "FLOP/s       | TFLOPs    | float32 is in 'TFLOPs', expected 'FLOP/s'",
        "bytes        | GiB       | memory is in 'GiB', expected 'bytes'",
        "7.0E-6       | 1e300     | base is 1.000e+300 s, expected at most 3600",
        "4.8E12       | 1e-300    | bandwidth is 1.000e-300 bytes/s, expected 1000 to 1.000e+18",
        "of the peak  | share     | flops is in 'share', expected a share such as 'of the peak'",
        "0.5          | 7.0       | flops is 7.000 of the peak, expected at most 2.000",
        "0.9,         | 1.5,      | memory is 1.500 of the memory, expected at most 1.000",
        "hgx-h200     | a\\u001bb | a node's name has a control character",
        "here         | a\\nb     | a machine's name has a control character",
      })
  void numbersWithoutSenseAreRefused(String text, String other, String sentence)
      throws IOException {
    Constant tenth = new Constant(0.1, "s", Constant.Kind.ASSUMED, "a test");
    Constant share = new Constant(0.8, "of the memory", Constant.Kind.ASSUMED, "a test");
    Constant half = new Constant(0.5, "of the peak", Constant.Kind.ASSUMED, "a test");
    Cluster sane =
        new Cluster(
            Node.KNOWN.get("hgx-h200"),
            16,
            Efficiency.of(
                Map.of(
                    "layer",
                    tenth,
                    "expert",
                    tenth,
                    "bandwidth_share",
                    share,
                    "flops_share",
                    half)),
            null,
            new Machine("here", "Z80", 1, "cpu"));
    String json = ConfigJson.text(sane);
    Path file = folder.resolve("c.json");
    String damaged =
        json.replaceFirst("(?<=[ \"])" + Pattern.quote(text), Matcher.quoteReplacement(other));
    assertNotEquals(json, damaged);
    Files.writeString(file, damaged);
    String refusal =
        assertThrows(IllegalArgumentException.class, () -> Cluster.of(file.toString()))
            .getMessage();
    assertTrue(refusal.startsWith(file + ": ") && refusal.endsWith(sentence), refusal);
    assertEquals(1, refusal.lines().count());
  }

  @Test
  void aMisspeltKeyIsNamed() throws IOException {
    String json = ConfigJson.text(Cluster.of("dgx-a100:8"));
    Path file = Files.writeString(folder.resolve("c.json"), json.replace("\"cards\"", "\"card\""));
    String refusal =
        assertThrows(IllegalArgumentException.class, () -> Cluster.of(file.toString()))
            .getMessage();
    assertTrue(refusal.endsWith("did you mean \"cards\"?"), refusal);
  }

  @Test
  void noNameIsNoFolder() {
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> Cluster.of(""))
            .getMessage()
            .startsWith("'' is neither a file nor NODE:GPUS"));
  }
}
