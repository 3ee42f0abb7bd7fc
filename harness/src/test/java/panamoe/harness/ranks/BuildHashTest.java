package panamoe.harness.ranks;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.bindings.NativeLibrary;

class BuildHashTest {
  @TempDir private Path folder;

  private String build(String name, String code, long packed) throws IOException {
    Path classes = Files.createDirectories(folder.resolve(name).resolve("classes"));
    Files.writeString(classes.resolve("Main.class"), code);
    Path jar = folder.resolve(name).resolve("part.jar");
    try (OutputStream file = Files.newOutputStream(jar);
        ZipOutputStream out = new ZipOutputStream(file)) {
      ZipEntry entry = new ZipEntry("Part.class");
      entry.setTime(packed);
      out.putNextEntry(entry);
      out.write(code.getBytes(UTF_8));
    }
    return classes + File.pathSeparator + jar + File.pathSeparator + folder.resolve("missing.jar");
  }

  @Test
  void aBuildIsWhatIsInIt() throws IOException {
    String here = build("here", "code", 1_000_000_000_000L);
    assertEquals(
        BuildHash.ofClasses(here), BuildHash.ofClasses(build("there", "code", 1_700_000_000_000L)));
    String other = build("other", "other code", 1_000_000_000_000L);
    assertNotEquals(BuildHash.ofClasses(here), BuildHash.ofClasses(other));
    String mixed = here.split(File.pathSeparator)[0] + File.pathSeparator + jar(other);
    assertNotEquals(BuildHash.ofClasses(here), BuildHash.ofClasses(mixed));
  }

  @Test
  void aLibraryIsWhatIsInItsFile() throws IOException {
    Path mine = NativeLibrary.file().orElseThrow();
    Path copy = Files.copy(mine, folder.resolve("copy.so"));
    assertEquals(BuildHash.ofLibrary(), BuildHash.ofFile(copy));
    Files.write(copy, new byte[] {1}, StandardOpenOption.APPEND);
    assertNotEquals(BuildHash.ofLibrary(), BuildHash.ofFile(copy));
  }

  private static String jar(String classPath) {
    return classPath.split(File.pathSeparator)[1];
  }
}
