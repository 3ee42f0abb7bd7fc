package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SearchPathTest {
  @TempDir Path folder;
  private Path property;
  private Path variable;
  private Path classes;
  private Path build;
  private Path system;

  /** Four places, each with a library, as a process could see them all at once. */
  @BeforeEach
  void fourPlaces() throws IOException {
    property = libraryIn(folder.resolve("property"));
    variable = libraryIn(folder.resolve("variable"));
    build = libraryIn(folder.resolve("project/native/build/release"));
    system = libraryIn(folder.resolve("system"));
    Files.createFile(folder.resolve("project/native/CMakeLists.txt"));
    classes = Files.createDirectories(folder.resolve("project/bindings/target/classes"));
  }

  private static Path libraryIn(Path directory) throws IOException {
    return Files.createFile(Files.createDirectories(directory).resolve(SearchPath.FILE_NAME));
  }

  private SearchPath all() {
    return SearchPath.of(
        property.toString(), variable.getParent().toString(), classes, system.getParent().toString());
  }

  @Test
  void theFirstPlaceThatHasTheLibraryWins() throws IOException {
    for (Path expected : List.of(property, variable, build, system)) {
      assertEquals(Optional.of(expected), all().find());
      Files.delete(expected);
    }
    assertEquals(Optional.empty(), all().find());
  }

  @Test
  void aSettingMayBeAFileOrADirectory() {
    assertEquals(Optional.of(property), SearchPath.of(property.toString(), null, null, null).find());
    assertEquals(Optional.of(property), SearchPath.of(property.getParent().toString(), null, null, null).find());
    assertEquals(Optional.of(variable), SearchPath.of(null, variable.toString(), null, null).find());
  }

  @Test
  void theProjectIsFoundFromAJarBelowIt() {
    Path jar = folder.resolve("project/bindings/target/panamoe-bindings.jar");
    assertEquals(Optional.of(build), SearchPath.of(null, null, jar, null).find());
  }

  @Test
  void blankSettingsNameNoPlace() {
    SearchPath path = SearchPath.of("", " ", null, File.pathSeparator + system.getParent() + File.pathSeparator);
    assertEquals(List.of(new SearchPath.Candidate("java.library.path", system)), path.candidates());
    assertEquals(List.of(), SearchPath.of(null, null, folder.getRoot(), null).candidates());
  }

  @Test
  void everyPlaceIsDescribedInOrder() {
    assertEquals(
        List.of(
            "  " + property + " (system property panamoe.native.path)",
            "  " + variable + " (environment variable PANAMOE_NATIVE_PATH)",
            "  " + build + " (release build)",
            "  " + system + " (java.library.path)"),
        all().describe().lines().toList());
  }

  @Test
  void relativeSettingsAreMadeAbsolute() {
    SearchPath path = SearchPath.of("some/where.so", null, null, "lib");
    assertTrue(path.candidates().stream().allMatch(candidate -> candidate.file().isAbsolute()), path.describe());
  }
}
