package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;

/** Tests the table of expected and measured values of a GPU. */
class AcceptedCommandTest {
  @TempDir private Path folder;

  @Test
  void theWorstResultIsHeldAgainstEachBar() throws IOException {
    Path file = folder.resolve("results");
    Files.write(
        file,
        List.of(
            "ceilings of 1 threads",
            line(
                "gate",
                "2048x2048x128x1",
                4096,
                "\"median_ms\":0.03,\"peer\":\"torch\",\"ratio\":6"),
            line("gate", "2048x2048x128x1", 64, "\"median_ms\":9"),
            line("grouped-gemm", "2048x2048x8x1", 2048, "\"peer\":\"cublaslt\",\"ratio\":0.8"),
            line("grouped-gemm", "2048x2048x8x1", 4096, "\"peer\":\"cublaslt\",\"ratio\":0.5"),
            line("grouped-gemm", "2048x2048x8x1", 1024, "\"roofline_fraction\":0.81"),
            line("grouped-gemm", "2048x2048x8x1", 64, "\"roofline_fraction\":0.9"),
            line("dispatch", "2048x1024x64x8", 4096, "\"median_ms\":2,\"limit_ms\":1.9"),
            line("combine", "2048x1024x64x8", 4096, "\"median_ms\":3,\"limit_ms\":2.6"),
            line("decode", "1024x4096x16x1", 64, "\"host_ms\":0.015")));
    CommandRun run = CommandRun.of("bench", "accepted", file.toString());
    assertEquals(0, run.exitCode(), run.err());
    List<String> rows = run.out().lines().skip(2).toList();
    assertEquals(10, rows.size(), run.out());
    List<String> ends =
        List.of(
            "| 30.0 µs | at most 25.0 µs | missed |",
            "| 6.00 | at least 5.00 | met |",
            "| 0.50 | at least 0.55 | missed |",
            "| 0.81 | at least 0.75 | met |",
            "| 0.90 | at least 0.65 | met |",
            "| 0.90 | at least 0.85 | met |",
            "| not measured | at least 6.00 | |",
            "| not measured | at least 1.00 | |",
            "| not measured | at least 0.30 | |",
            "| 15.0 µs | at most 20.0 µs | met |");
    for (int i = 0; i < ends.size(); i++) {
      assertTrue(rows.get(i).endsWith(ends.get(i)), rows.get(i));
    }
  }

  @Test
  void theBarsAreThoseOfThePage() throws IOException {
    Path none = Files.createFile(folder.resolve("none"));
    List<String> bars =
        CommandRun.of("bench", "accepted", none.toString())
            .out()
            .lines()
            .skip(2)
            .map(row -> row.replace(" | not measured |", " |").replaceFirst(" \\|$", ""))
            .toList();
    assertEquals(10, bars.size());
    List<String> page = Files.readAllLines(Path.of("../docs/kernels-cuda.md"));
    for (String bar : bars) {
      assertTrue(page.contains(bar), bar);
    }
  }

  /** A truncated result, and one without a required key. */
  @ParameterizedTest
  @ValueSource(strings = {"{\"name\":\"gate\",\"dtype\"", "{\"name\":\"gate\"}"})
  void aDamagedLineIsNamed(String line) throws IOException {
    Path file = folder.resolve("results");
    Files.writeString(file, "ceilings\n" + line + "\n");
    CommandRun run = CommandRun.of("bench", "accepted", file.toString());
    assertEquals(1, run.exitCode());
    assertTrue(run.err().contains("results, line 2, is not a complete result of bench"), run.err());
  }

  @Test
  void jsonLeavesOutWhatIsNotMeasured() throws IOException {
    Path file = folder.resolve("results");
    Files.writeString(file, line("decode", "s1", 64, "\"host_ms\":0.025") + "\n");
    CommandRun run = CommandRun.of("bench", "accepted", file.toString(), "--json");
    List<String> rows = run.out().lines().toList();
    assertEquals(10, rows.size(), run.out());
    assertTrue(rows.getFirst().endsWith("\"expected\":\"at most 25.0 µs\"}"), rows.getFirst());
    assertTrue(rows.getLast().endsWith("\"measured\":25.0,\"met\":false}"), rows.getLast());
  }

  @Test
  void namesAFileThatCannotBeRead() throws IOException {
    Path bytes = Files.write(folder.resolve("bytes"), new byte[] {(byte) 0xff});
    for (Path file : List.of(folder.resolve("none"), folder, bytes)) {
      CommandRun run = CommandRun.of("bench", "accepted", file.toString());
      assertEquals(1, run.exitCode());
      assertTrue(run.err().endsWith(": " + file + "\n"), run.err());
    }
  }

  private static String line(String name, String shape, int tokens, String rest) {
    return Stream.of(
            "{\"name\":\"" + name + "\"",
            "\"shape\":\"" + shape + "\"",
            "\"tokens\":" + tokens,
            "\"dtype\":\"bf16\"",
            rest + "}")
        .reduce((a, b) -> a + "," + b)
        .orElseThrow();
  }
}
