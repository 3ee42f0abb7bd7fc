package panamoe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** docs/architecture.md names files and folders that are there. */
class ArchitecturePageTest {
  private static final Path ROOT = Path.of("..");
  private static final List<String> PLACES =
      List.of(
          "",
          "native/",
          "harness/src/main/java/panamoe/harness/",
          "runtime/src/main/java/panamoe/");

  @Test
  void everyPathIsThere() throws IOException {
    Matcher paths =
        Pattern.compile("`([\\w.-]+(?:/[\\w.-]+)+)`")
            .matcher(Files.readString(ROOT.resolve("docs/architecture.md")));
    int found = 0;
    while (paths.find()) {
      String path =
          paths
              .group(1)
              .replace("runtime/.../", "runtime/src/main/java/panamoe/")
              .replace("harness/.../", "harness/src/main/java/panamoe/harness/");
      assertTrue(isThere(path), path);
      found++;
    }
    assertTrue(found > 30, found + " paths");
  }

  @Test
  void everyPackageIsInThePicture() throws IOException {
    String picture = Files.readString(ROOT.resolve("docs/images/architecture.svg"));
    try (Stream<Path> packages = Files.list(ROOT.resolve(PLACES.getLast()))) {
      List<String> missing =
          packages
              .filter(path -> path.toFile().list().length > 0)
              .map(path -> path.getFileName().toString())
              .filter(name -> !picture.contains(">" + name + "<"))
              .toList();
      assertEquals(List.of(), missing);
    }
  }

  private static boolean isThere(String path) {
    return PLACES.stream()
        .flatMap(place -> Stream.of(place + path, place + path + ".java"))
        .anyMatch(name -> Files.exists(ROOT.resolve(name)));
  }
}
