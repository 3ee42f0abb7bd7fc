package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SystemLibraryTest {
  private static final String PROPERTY = "missing.library";
  private static final SystemLibrary MISSING =
      new SystemLibrary(
          "The missing link", "libmissing.so.7", PROPERTY, "MISSING_LIBRARY", "look for it");

  @AfterEach
  void forget() {
    System.clearProperty(PROPERTY);
  }

  @Test
  void saysInOneSentenceWhatWasLookedForAndWhere() {
    String message = assertThrows(UnsatisfiedLinkError.class, MISSING::load).getMessage();
    String where =
        "The missing link is not there: libmissing.so.7 was looked for in LD_LIBRARY_PATH";
    String advice = "look for it, or name the file with -D" + PROPERTY + " or MISSING_LIBRARY";
    assertTrue(message.startsWith(where), message);
    assertTrue(message.endsWith(advice), message);
    assertEquals(1, message.lines().count());
  }

  @Test
  void aNamedFolderWithoutTheFileIsNotPassedOver(@TempDir Path folder) {
    System.setProperty(PROPERTY, folder.toString());
    String message = assertThrows(UnsatisfiedLinkError.class, MISSING::load).getMessage();
    assertTrue(
        message.contains("no file " + folder.resolve("libmissing.so.7") + ", which -D" + PROPERTY),
        message);
  }

  @Test
  void aNamedFileThatIsNoLibraryIsNamed(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("libmissing.so.7"), "not an ELF file");
    System.setProperty(PROPERTY, file.toString());
    String message = assertThrows(UnsatisfiedLinkError.class, MISSING::load).getMessage();
    assertTrue(message.startsWith("cannot load " + file + ": "), message);
    assertEquals(1, message.lines().count());
  }

  @Test
  void hasTheFunctionsOfWhatTheSystemHasOnceItIsOpen() {
    SystemLibrary library =
        new SystemLibrary("C's mathematics", "libm.so.6", PROPERTY, "MISSING_LIBRARY", "no advice");
    assertEquals(Optional.empty(), library.find("cos"));
    library.load();
    assertTrue(library.find("cos").isPresent());
  }
}
