package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The dependency in docs/cookbook.md is that of examples/quick-start, and has this version. */
class QuickStartTest {
  @Test
  void itsDependencyIsTheCookbooks() throws IOException {
    String project = Files.readString(Path.of("..", "examples", "quick-start", "pom.xml"));
    String dependency =
        between(Files.readString(Path.of("..", "docs", "cookbook.md")), "```xml\n", "\n```");
    assertTrue(project.contains(dependency), dependency);
    String version = between(Files.readString(Path.of("..", "pom.xml")), "<version>", "</version>");
    assertTrue(dependency.contains("<version>" + version + "</version>"), version);
  }

  private static String between(String text, String start, String end) {
    int from = text.indexOf(start) + start.length();
    return text.substring(from, text.indexOf(end, from));
  }
}
