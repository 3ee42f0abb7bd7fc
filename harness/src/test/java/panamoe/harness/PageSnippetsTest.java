package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Java in the README and in docs is what the tests compile and run. The line before such a block is
 * a comment that names its file and, if it is a part of it, the region. Tests that pages name are
 * there.
 */
class PageSnippetsTest {
  private static final Path ROOT = Path.of("..");
  private static final Pattern BLOCK =
      Pattern.compile("(?s)(?:<!-- java: (\\S+)(?: (\\S+))? -->\n)?```java\n(.*?)\n```");

  private static final Pattern SCRIPT = Pattern.compile("(?<![\\w./])(ci/[\\w./-]*\\w)");
  private static final Pattern TEST = Pattern.compile("`(\\w+(?:Test|_test))`");
  // A suite of GoogleTest, and the name of a test in a script, which may stand behind a wildcard.
  private static final Pattern SUITE = Pattern.compile("TEST(?:_F|_P)?\\((\\w+)");
  private static final Pattern SELECTED = Pattern.compile("\\b([A-Z]\\w*Test)\\b");
  private static final List<String> TESTS =
      List.of(
          "native/test",
          "bindings/src/test",
          "runtime/src/test",
          "java-api/src/test",
          "text/src/test",
          "djl/src/test",
          "langchain4j/src/test",
          "spring-ai/src/test",
          "spring-boot-starter/src/test",
          "spark/src/test",
          "harness/src/test",
          "jmh/src/test",
          "lab/src/test",
          "lab/peers/src/test");

  // Its code needs a GPU.
  private static final List<String> LEFT_OUT = List.of("runtime-kernels.md");

  record Snippet(Path page, String file, String region, String code) {
    @Override
    public String toString() {
      return page.getFileName() + ": " + file + " " + region;
    }
  }

  static Stream<Snippet> snippets() throws IOException {
    try (Stream<Path> docs = Files.list(ROOT.resolve("docs"))) {
      return Stream.concat(Stream.of(ROOT.resolve("README.md")), docs.sorted())
          .filter(page -> page.toString().endsWith(".md"))
          .filter(page -> !LEFT_OUT.contains(page.getFileName().toString()))
          .flatMap(PageSnippetsTest::snippetsOf)
          .toList()
          .stream();
    }
  }

  private static Stream<Snippet> snippetsOf(Path page) {
    return BLOCK
        .matcher(read(page))
        .results()
        .map(block -> new Snippet(page, block.group(1), block.group(2), block.group(3)));
  }

  @ParameterizedTest
  @MethodSource("snippets")
  void isCompiledAndRun(Snippet snippet) throws IOException {
    assertTrue(
        snippet.file != null,
        () -> snippet.page + ": the line before this names no file:\n" + snippet.code);
    Path file = ROOT.resolve(snippet.file);
    String source = read(file);
    assertEquals(
        snippet.region == null ? source.strip() : region(source, snippet.region), snippet.code);
    assertTrue(isRun(file), file + " is run by no test");
  }

  private static String region(String source, String name) {
    Matcher region =
        Pattern.compile("(?s)// @start region=\"" + name + "\"\n(.*?)\n *// @end").matcher(source);
    assertTrue(region.find(), "there is no region " + name);
    return region.group(1).stripTrailing().stripIndent();
  }

  /** A test beside it calls its class; ci/slow runs example projects. */
  private static boolean isRun(Path file) throws IOException {
    if (file.startsWith(ROOT.resolve("examples"))) {
      return true;
    }
    String call = file.getFileName().toString().replace(".java", ".");
    try (Stream<Path> neighbours = Files.list(file.getParent())) {
      return neighbours.anyMatch(
          other ->
              !other.equals(file)
                  && other.toString().endsWith("Test.java")
                  && read(other).contains(call));
    }
  }

  /** Tests and scripts that a page names, and tests that a script selects. */
  @Test
  void namedTestsAreThere() throws IOException {
    Set<String> there = new HashSet<>(Set.of("GoogleTest"));
    for (String folder : TESTS) {
      for (Path file : files(folder)) {
        there.add(file.getFileName().toString().replaceFirst("\\..*", ""));
        if (file.toString().endsWith(".cc")) {
          SUITE.matcher(read(file)).results().forEach(suite -> there.add(suite.group(1)));
        }
      }
    }
    for (Path page : files("docs")) {
      if (page.toString().endsWith(".md")) {
        requireNamed(page, TEST, there::contains);
        requireNamed(page, SCRIPT, name -> Files.exists(ROOT.resolve(name)));
      }
    }
    for (Path script : files("ci")) {
      requireNamed(script, SELECTED, name -> there.stream().anyMatch(test -> test.endsWith(name)));
    }
  }

  private static void requireNamed(Path file, Pattern pattern, Predicate<String> there) {
    pattern
        .matcher(read(file))
        .results()
        .map(name -> name.group(1))
        .forEach(name -> assertTrue(there.test(name), file + " names " + name));
  }

  private static List<Path> files(String folder) throws IOException {
    try (Stream<Path> files = Files.walk(ROOT.resolve(folder))) {
      return files.filter(Files::isRegularFile).toList();
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
