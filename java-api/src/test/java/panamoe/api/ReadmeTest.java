package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What the README shows is what the tests compile and run. */
class ReadmeTest {
  @Test
  void itsExampleIsTheCompiledOne() throws IOException {
    String readme = Files.readString(Path.of("..", "README.md"));
    String example =
        Files.readString(Path.of("src", "test", "java", "panamoe", "api", "MoeLayerExample.java"));
    String region = between(example, "// @start region=\"layer\"\n", "\n    // @end").stripIndent();
    assertEquals(region, between(readme, "```java\n", "\n```"));
  }

  private static String between(String text, String start, String end) {
    int from = text.indexOf(start) + start.length();
    return text.substring(from, text.indexOf(end, from));
  }
}
