package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A library that was cut short ends the process if the system's loader is given it. */
class ElfFileTest {
  @TempDir private Path folder;

  @Test
  void aLibraryThatWasCutShortIsRefused() throws IOException {
    byte[] whole = Files.readAllBytes(NativeLibrary.file().orElseThrow());
    Path file = folder.resolve("libpanamoe.so");
    for (int bytes : new int[] {0, 3, 63, 64, 100, 4096, 100_000, whole.length / 2}) {
      Files.write(file, Arrays.copyOf(whole, bytes));
      UnsatisfiedLinkError refusal =
          assertThrows(UnsatisfiedLinkError.class, () -> SharedObject.open(file));
      assertEquals(
          "cannot load " + file + ": the file was cut short; copy or build it again",
          refusal.getMessage());
    }
    Files.write(file, whole);
    SharedObject.open(file);
  }

  @Test
  void whatIsNoLibraryIsLeftToTheLoader() throws IOException {
    Path file = Files.writeString(folder.resolve("text"), "neither ELF nor short");
    ElfFile.requireWhole(file);
  }
}
