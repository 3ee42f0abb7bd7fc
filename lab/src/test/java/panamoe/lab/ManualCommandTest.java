package panamoe.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;

class ManualCommandTest {
  private static final Set<String> MACROS = Set.of("TH", "SH", "SS", "TP", "ad", "PP");

  @TempDir private Path folder;

  @Test
  void eachCommandHasAPageThatManReads() throws Exception {
    assertEquals(0, CommandRun.of("manual", folder.toString()).exitCode());
    List<Path> pages;
    try (Stream<Path> files = Files.list(folder.resolve("man1"))) {
      pages = files.sorted().toList();
    }
    assertTrue(pages.stream().anyMatch(page -> page.endsWith("panamoe-data-tasks.1")), pages + "");
    for (Path page : pages) {
      List<String> lines = Files.readAllLines(page);
      assertTrue(lines.getFirst().startsWith(".TH \"PANAMOE"), lines.getFirst());
      for (String line : lines) {
        boolean request = line.startsWith(".") || line.startsWith("'");
        assertTrue(
            !line.isBlank() && (!request || MACROS.contains(macro(line))), page + ": " + line);
        assertTrue(!line.contains("${") && !line.contains("%n"), page + ": " + line);
      }
    }
    String train = Files.readString(folder.resolve("man1/panamoe-train.1"));
    for (String words :
        List.of(
            ".SS \"Ranks\"", "\\fB\\-o\\fR, \\fB\\-\\-out\\fR \\fIDIR\\fR", ".SH \"EXAMPLES\"")) {
      assertTrue(train.contains(words), train);
    }
    if (onPath("mandoc")) {
      assertEquals("", mandoc(pages));
    }
  }

  private static String macro(String line) {
    return line.substring(1).split(" ")[0];
  }

  private static boolean onPath(String program) {
    return Stream.of(System.getenv("PATH").split(File.pathSeparator))
        .anyMatch(place -> Files.isExecutable(Path.of(place, program)));
  }

  /** What it warns of, except that a build without Git has no date. */
  private static String mandoc(List<Path> pages) throws IOException, InterruptedException {
    List<String> command =
        Stream.concat(
                Stream.of("mandoc", "-T", "lint", "-W", "warning"),
                pages.stream().map(Path::toString))
            .toList();
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return String.join("\n", said.lines().filter(line -> !line.contains("missing date")).toList());
  }
}
