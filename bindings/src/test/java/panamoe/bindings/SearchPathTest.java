package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
        property.toString(),
        variable.getParent().toString(),
        classes,
        null,
        system.getParent().toString());
  }

  private SearchPath unnamed() {
    return SearchPath.of(null, null, classes, null, system.getParent().toString());
  }

  @Test
  void theFirstPlaceThatHasTheLibraryWins() throws IOException {
    assertFalse(unnamed().named());
    for (Path expected : List.of(build, system)) {
      assertEquals(expected, unnamed().find());
      Files.delete(expected);
    }
    assertEquals(
        "%s not found; tried: %s (release build), %s (java.library.path). Add the jar panamoe-native (on a module path its module too, by --add-modules), build native/ (CMake preset release), or name"
                .formatted(SearchPath.FILE_NAME, build, system)
            + " the file or its folder with -Dpanamoe.native.path or the environment variable PANAMOE_NATIVE_PATH",
        failure(unnamed()));
  }

  @Test
  void aSettingMayBeAFileOrADirectory() {
    assertEquals(property, all().find());
    assertEquals(
        property, SearchPath.of(property.getParent().toString(), null, null, null, null).find());
    assertEquals(variable, SearchPath.of(null, variable.toString(), null, null, null).find());
    assertEquals(
        variable, SearchPath.of(" ", variable.getParent().toString(), classes, null, null).find());
  }

  @Test
  void aWrongSettingIsNotPassedOver() throws IOException {
    Files.delete(property);
    assertTrue(all().named());
    String advice = ": name the file " + SearchPath.FILE_NAME + " or the folder that it is in";
    assertEquals(
        "there is no library " + property + " (system property panamoe.native.path)" + advice,
        failure(all()));
    Files.delete(variable);
    SearchPath path =
        SearchPath.of(
            null, variable.getParent().toString(), classes, null, system.getParent().toString());
    assertEquals(
        "there is no library " + variable + " (environment variable PANAMOE_NATIVE_PATH)" + advice,
        failure(path));
  }

  @Test
  void aSettingThatIsNoPathIsRefusedInASentence() {
    String message =
        assertThrows(
                NativeLibrary.WrongSetting.class,
                () -> SearchPath.of("a\0b", null, classes, null, null))
            .getMessage();
    assertTrue(message.endsWith("is no path on this system: Nul character not allowed"), message);
  }

  private static String failure(SearchPath path) {
    return assertThrows(UnsatisfiedLinkError.class, path::find).getMessage();
  }

  @Test
  void theProjectIsFoundFromAJarBelowIt() {
    Path jar = folder.resolve("project/bindings/target/panamoe-bindings.jar");
    assertEquals(build, SearchPath.of(null, null, jar, null, null).find());
  }

  @Test
  void blankSettingsNameNoPlace() {
    SearchPath path =
        SearchPath.of(
            "", " ", null, null, File.pathSeparator + system.getParent() + File.pathSeparator);
    assertEquals(
        List.of(new SearchPath.FileCandidate("java.library.path", system)), path.candidates());
    assertEquals(List.of(), SearchPath.of(null, null, folder.getRoot(), null, null).candidates());
  }

  @Test
  void relativeSettingsAreMadeAbsolute() {
    for (SearchPath path :
        List.of(
            SearchPath.of("some/where.so", null, null, null, null),
            SearchPath.of(null, null, null, null, "lib"))) {
      SearchPath.FileCandidate first =
          assertInstanceOf(SearchPath.FileCandidate.class, path.candidates().getFirst());
      assertTrue(first.file().isAbsolute(), path.toString());
    }
  }
}
