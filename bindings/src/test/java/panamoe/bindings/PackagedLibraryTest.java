package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PackagedLibraryTest {
  private static final String PLATFORM = "linux-x86_64";

  @TempDir Path folder;
  private Path jar;
  private UnpackFolder cache;

  @BeforeEach
  void aJar() throws IOException {
    jar = jar("jar", Files.readAllBytes(NativeLibrary.file().orElseThrow()));
    cache = new UnpackFolder(folder.resolve("cache/panamoe/native"));
  }

  /** A folder with the files of a jar of panamoe-native. */
  private Path jar(String name, byte[] library) throws IOException {
    Path root = folder.resolve(name);
    Path file = libraryIn(root);
    Files.createDirectories(file.getParent());
    Files.write(file, library);
    Files.writeString(
        file.resolveSibling(SearchPath.FILE_NAME + ".sha256"),
        UnpackFolder.sha256(library) + "  " + SearchPath.FILE_NAME + "\n");
    return root;
  }

  private static Path libraryIn(Path jar) {
    return jar.resolve("META-INF/panamoe").resolve(PLATFORM).resolve(SearchPath.FILE_NAME);
  }

  private Optional<Path> find(List<Path> jars, UnpackFolder... folders) throws IOException {
    List<URL> urls = new ArrayList<>();
    for (Path each : jars) {
      urls.add(each.toUri().toURL());
    }
    try (URLClassLoader loader = new URLClassLoader(urls.toArray(URL[]::new), null)) {
      return new PackagedLibrary(loader, PLATFORM, List.of(folders)).find();
    }
  }

  private String failure(List<Path> jars, UnpackFolder... folders) {
    return assertThrows(UnsatisfiedLinkError.class, () -> find(jars, folders)).getMessage();
  }

  @Test
  void theLibraryIsUnpackedOnceForThisUserAlone() throws IOException {
    Path file = find(List.of(jar), cache).orElseThrow();
    assertTrue(file.startsWith(cache.path()), file.toString());
    assertArrayEquals(Files.readAllBytes(libraryIn(jar)), Files.readAllBytes(file));
    assertEquals(
        "rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(cache.path())));
    FileTime early = FileTime.fromMillis(1000);
    Files.setLastModifiedTime(file, early);
    assertEquals(Optional.of(file), find(List.of(jar, jar), cache));
    assertEquals(early, Files.getLastModifiedTime(file));
    try (Stream<Path> beside = Files.list(file.getParent())) {
      assertEquals(List.of(file), beside.toList());
    }
  }

  @Test
  void withoutAJarThereIsNothing() throws IOException {
    assertEquals(Optional.empty(), find(List.of(), cache));
    assertFalse(Files.exists(cache.path()));
  }

  @Test
  void aDamagedFileInTheCacheIsUnpackedAgain() throws IOException {
    Path file = find(List.of(jar), cache).orElseThrow();
    byte[] whole = Files.readAllBytes(file);
    byte[] changed = whole.clone();
    changed[whole.length / 2]++;
    for (byte[] damaged : List.of(changed, new byte[0])) {
      Files.delete(file); // this process has it open
      Files.write(file, damaged);
      assertEquals(Optional.of(file), find(List.of(jar), cache));
      assertArrayEquals(whole, Files.readAllBytes(file));
    }
  }

  @Test
  void anotherFolderServesWhereOneCannotBeWritten() throws IOException {
    UnpackFolder taken = new UnpackFolder(Files.createFile(folder.resolve("file")).resolve("in"));
    Path file = find(List.of(jar), taken, cache).orElseThrow();
    assertTrue(file.startsWith(cache.path()), file.toString());
    String said = failure(List.of(jar), taken);
    assertTrue(
        said.startsWith(
            "the native library of " + jar + " can be used from no folder (" + taken.path()),
        said);
    assertTrue(
        said.contains(taken.path() + ": " + taken.path().getParent() + " is a file, not a folder)"),
        said);
    assertTrue(
        said.endsWith(
            "name one that may be written and executed from with -Dpanamoe.native.cache or the"
                + " environment variable PANAMOE_NATIVE_CACHE"),
        said);
  }

  @Test
  void aFolderInTheLibrarysPlaceIsNamed() throws IOException {
    String digest = UnpackFolder.sha256(Files.readAllBytes(libraryIn(jar)));
    Path place = cache.path().resolve(digest).resolve(SearchPath.FILE_NAME);
    Files.createDirectories(place);
    String said = failure(List.of(jar), cache);
    assertTrue(said.contains(place + " is a folder; remove it"), said);
  }

  /** A file without the right to be executed stands for a file system that is mounted noexec. */
  @Test
  void everyFolderIsTriedBeforeALibraryIsRefused() throws IOException {
    byte[] unloadable = "not an ELF file".getBytes();
    UnpackFolder other = new UnpackFolder(folder.resolve("other"));
    for (UnpackFolder each : List.of(cache, other)) {
      Path file = each.path().resolve(UnpackFolder.sha256(unloadable)).resolve("libpanamoe.so");
      Files.createDirectories(file.getParent());
      Files.write(file, unloadable);
    }
    String said = failure(List.of(jar("unloadable", unloadable)), cache, other);
    assertTrue(said.contains("cannot load " + cache.path()), said);
    assertTrue(said.contains("; cannot load " + other.path()), said);
    assertEquals(1, said.lines().count(), said);
  }

  @Test
  void whatNoFolderCausesIsTheLoadersOwnSentence() throws IOException {
    Path unloadable = jar("unloadable", "not an ELF file".getBytes());
    UnpackFolder other = new UnpackFolder(folder.resolve("other"));
    String said = failure(List.of(unloadable), cache, other);
    assertTrue(said.startsWith("cannot load " + cache.path()), said);
    assertFalse(Files.exists(other.path()));
  }

  @Test
  void aFolderThatExistsKeepsItsRights() throws IOException {
    find(List.of(jar), cache);
    Files.setPosixFilePermissions(cache.path(), PosixFilePermissions.fromString("r-xr-xr-x"));
    find(List.of(jar), cache);
    assertEquals(
        "r-xr-xr-x", PosixFilePermissions.toString(Files.getPosixFilePermissions(cache.path())));
    Files.setPosixFilePermissions(cache.path(), PosixFilePermissions.fromString("rwxrwx---"));
    String said = failure(List.of(jar), cache);
    assertTrue(said.contains("(" + cache.path() + ": others may write to it)"), said);
  }

  @Test
  void aFolderOfSomebodyElseIsNotUsed() throws IOException {
    UnpackFolder foreign = new UnpackFolder(Files.createDirectory(folder.resolve("foreign")));
    if (Files.getAttribute(foreign.path(), "unix:uid").equals(0)) {
      Files.setAttribute(foreign.path(), "unix:uid", 1);
    } else {
      foreign = new UnpackFolder(Path.of("/usr"));
    }
    String said = failure(List.of(jar), foreign);
    assertTrue(said.contains("(" + foreign.path() + ": it belongs to somebody else)"), said);
  }

  @Test
  void aDamagedJarIsNamed() throws IOException {
    Files.writeString(libraryIn(jar), "something else");
    assertEquals(
        "the native library of "
            + jar
            + " is damaged, fetch the jar again: it has another SHA-256 than it says",
        failure(List.of(jar), cache));
  }

  @Test
  void jarsOfTwoVersionsAreRefusedByName() throws IOException {
    Path other = jar("other", "another version".getBytes());
    assertEquals(
        "the class path has several versions of the native library; keep one of "
            + jar
            + ", "
            + other,
        failure(List.of(jar, other), cache));
  }

  @Test
  void aSettingNamesTheOnlyFolder() {
    Map<String, String> user =
        Map.of("java.io.tmpdir", "/t", "user.name", "u", "HOME", "/h", "XDG_CACHE_HOME", " ");
    assertEquals(
        List.of(Path.of("/h/.cache/panamoe/native"), Path.of("/t/panamoe-native-u")),
        paths(user, user));
    assertEquals(
        List.of(Path.of("/x/panamoe/native"), Path.of("/t/panamoe-native-u")),
        paths(user, Map.of("HOME", "/h", "XDG_CACHE_HOME", "/x")));
    assertEquals(
        List.of(Path.of("/c/panamoe-native")), paths(user, Map.of(UnpackFolder.VARIABLE, "/c")));
    assertEquals(
        List.of(Path.of("/p/panamoe-native")), paths(Map.of(UnpackFolder.PROPERTY, "/p"), user));
  }

  private static List<Path> paths(Map<String, String> properties, Map<String, String> variables) {
    return UnpackFolder.of(properties, variables).stream().map(UnpackFolder::path).toList();
  }
}
