package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Compares {@code docs/environment.md} with the variables and properties that the sources read. */
class EnvironmentPageTest {
  private static final Path PROJECT = Path.of("..").toAbsolutePath().normalize();

  private static final Pattern IN_CODE =
      Pattern.compile("\"(PANAMOE_[A-Z_]+|panamoe(?:\\.[a-z]+){2,})\"");
  private static final Pattern IN_SCRIPT = Pattern.compile("\\b(PANAMOE_[A-Z_]+)\\b");
  private static final Pattern IN_CMAKE = Pattern.compile("set\\((PANAMOE_[A-Z_]+) .*\\bCACHE\\b");
  private static final Pattern IN_PAGE =
      Pattern.compile(
          "(?m)^\\| `(PANAMOE_[A-Z_]+|panamoe[a-z.]+)` \\|(?: `(PANAMOE_[A-Z_]+)` \\|)?");

  private static final List<String> MODULES =
      List.of(
          "bindings",
          "runtime",
          "java-api",
          "text",
          "djl",
          "langchain4j",
          "spring-ai",
          "spring-boot-starter",
          "spark",
          "harness",
          "lab",
          "lab/peers",
          "jmh");

  @Test
  void thePageListsWhatTheSourcesRead() throws IOException {
    Set<String> read = new TreeSet<>();
    for (String module : MODULES) {
      boolean springs = module.equals("spring-boot-starter"); // properties with metadata
      for (Path file : files(module + (springs ? "/src/test" : "/src"), "java", "c")) {
        collect(IN_CODE, file, read);
      }
    }
    for (String folder : List.of("core", "abi", "cpu", "cuda", "simt", "test", "bench")) {
      for (Path file : files("native/" + folder, "cc", "cu", "h")) {
        collect(IN_CODE, file, read);
      }
    }
    for (Path file : files("cmake", "cmake")) {
      collect(IN_CMAKE, file, read);
    }
    for (Path file : files("ci", "")) {
      collect(IN_SCRIPT, file, read);
    }
    collect(IN_SCRIPT, PROJECT.resolve("panamoe"), read);
    read.removeIf(EnvironmentPageTest::isPackage);

    Set<String> listed = new TreeSet<>();
    collect(IN_PAGE, PROJECT.resolve("docs/environment.md"), listed);
    assertEquals(read, listed);
  }

  /** Files below a folder with one of the suffixes; "" stands for no suffix. */
  private static List<Path> files(String folder, String... suffixes) throws IOException {
    try (Stream<Path> all = Files.walk(PROJECT.resolve(folder))) {
      return all.filter(Files::isRegularFile)
          .filter(file -> List.of(suffixes).contains(suffix(file.getFileName().toString())))
          .toList();
    }
  }

  private static boolean isPackage(String name) {
    String folder = "/src/main/java/" + name.replace('.', '/');
    return MODULES.stream().anyMatch(module -> Files.isDirectory(PROJECT.resolve(module + folder)));
  }

  private static String suffix(String name) {
    int dot = name.lastIndexOf('.');
    return dot < 0 ? "" : name.substring(dot + 1);
  }

  private static void collect(Pattern pattern, Path file, Set<String> names) throws IOException {
    var matcher = pattern.matcher(Files.readString(file, StandardCharsets.ISO_8859_1));
    while (matcher.find()) {
      for (int group = 1; group <= matcher.groupCount(); group++) {
        if (matcher.group(group) != null) {
          names.add(matcher.group(group));
        }
      }
    }
  }
}
