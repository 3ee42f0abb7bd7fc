package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {
  @TempDir Path folder;

  @Test
  void theLibraryOfThisBuildIsLoaded() {
    assertDoesNotThrow(NativeLibrary::ensureAvailable);
    assertTrue(NativeLibrary.isAvailable());
    assertEquals(Optional.empty(), NativeLibrary.unavailabilityCause());
    assertTrue(Files.isRegularFile(NativeLibrary.file().orElseThrow()));
    assertEquals(Moe.MOE_ABI_VERSION(), Moe.moe_abi_version());
  }

  @Test
  void aMissingLibraryIsExplained() {
    SearchPath nowhere = SearchPath.of(folder.toString(), null, null, folder.resolve("lib").toString());
    String message = assertThrows(UnsatisfiedLinkError.class, () -> NativeLibrary.load(nowhere)).getMessage();
    assertAll(
        () -> assertTrue(message.startsWith(SearchPath.FILE_NAME + " not found"), message),
        () -> assertTrue(message.contains(nowhere.describe()), message),
        () -> assertTrue(message.contains("-Dpanamoe.native.path"), message),
        () -> assertTrue(message.contains("PANAMOE_NATIVE_PATH"), message));
  }

  @Test
  void aFileThatIsNoLibraryIsNamed() throws IOException {
    Path file = Files.writeString(folder.resolve(SearchPath.FILE_NAME), "not an ELF file");
    SearchPath path = SearchPath.of(file.toString(), null, null, null);
    String message = assertThrows(UnsatisfiedLinkError.class, () -> NativeLibrary.load(path)).getMessage();
    assertTrue(message.startsWith("cannot load " + file + ": "), message);
  }

  @Test
  void anotherAbiVersionIsRefusedWithBothNumbers() {
    Path file = Path.of("libpanamoe.so");
    assertDoesNotThrow(() -> NativeLibrary.checkVersion(file, 7, 7));
    UnsatisfiedLinkError error =
        assertThrows(UnsatisfiedLinkError.class, () -> NativeLibrary.checkVersion(file, 6, 7));
    assertEquals(
        "libpanamoe.so has ABI version 6, the Java bindings have 7: build both from the same source",
        error.getMessage());
  }

  @Test
  void aProcessWhoseLibraryFailsGoesOn() throws Exception {
    String output = inAnotherProcess("--enable-native-access=ALL-UNNAMED");
    assertTrue(output.contains("available: false, cannot load " + folder), output);
  }

  @Test
  void deniedNativeAccessNamesTheFlag() throws Exception {
    String output = inAnotherProcess("--illegal-native-access=deny");
    assertTrue(output.contains("start java with --enable-native-access=ALL-UNNAMED"), output);
  }

  /** The output of {@link Probe}, run where the library is a file that cannot be loaded. */
  private String inAnotherProcess(String option) throws Exception {
    Path file = Files.writeString(folder.resolve(SearchPath.FILE_NAME), "not an ELF file");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Process process =
        new ProcessBuilder(
                java, option, "-Dpanamoe.native.path=" + file, "-cp", System.getProperty("java.class.path"),
                Probe.class.getName())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  /** Prints what a program without the library sees. */
  static final class Probe {
    public static void main(String[] args) {
      boolean available = NativeLibrary.isAvailable();
      UnsatisfiedLinkError error = assertThrows(UnsatisfiedLinkError.class, NativeLibrary::ensureAvailable);
      assertEquals(Optional.empty(), NativeLibrary.file());
      System.out.println("available: " + available + ", " + error.getMessage());
    }
  }
}
