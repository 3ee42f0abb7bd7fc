package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
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
  void aFileThatIsNoLibraryIsNamed() throws IOException {
    Path file = Files.writeString(folder.resolve(SearchPath.FILE_NAME), "not an ELF file");
    SearchPath path = SearchPath.of(file.toString(), null, null, null, null);
    String message =
        assertThrows(NativeLibrary.WrongSetting.class, () -> NativeLibrary.load(path)).getMessage();
    // The end is the system's own reason.
    assertTrue(
        message.startsWith("cannot load " + file + ": ") && message.endsWith("file too short"),
        message);
  }

  @Test
  void anotherLibraryIsNotTakenForOurs() {
    SearchPath path = SearchPath.of("/lib/x86_64-linux-gnu/libm.so.6", null, null, null, null);
    String message =
        assertThrows(NativeLibrary.WrongSetting.class, () -> NativeLibrary.load(path)).getMessage();
    assertTrue(
        message.endsWith("has no function moe_abi_version: it is not the library of Panamoe"),
        message);
  }

  @Test
  void aLibraryThatNoSettingNamesIsNoWrongSetting() throws IOException {
    Files.writeString(folder.resolve(SearchPath.FILE_NAME), "not an ELF file");
    SearchPath path = SearchPath.of(null, null, null, null, folder.toString());
    Throwable failure = assertThrows(UnsatisfiedLinkError.class, () -> NativeLibrary.load(path));
    assertFalse(failure instanceof NativeLibrary.WrongSetting, failure.toString());
  }

  @Test
  void everyClassLoaderHasTheLibrary() throws Exception {
    Path library = NativeLibrary.file().orElseThrow();
    URL classes = NativeLibrary.class.getProtectionDomain().getCodeSource().getLocation();
    try (URLClassLoader other = new URLClassLoader(new URL[] {classes}, null)) {
      Class<?> loader = other.loadClass(NativeLibrary.class.getName());
      assertNotSame(NativeLibrary.class, loader);
      assertEquals(Optional.empty(), loader.getMethod("unavailabilityCause").invoke(null));
      assertEquals(Optional.of(library), loader.getMethod("file").invoke(null));
      assertEquals(
          Moe.moe_abi_version(),
          other.loadClass(Moe.class.getName()).getMethod("moe_abi_version").invoke(null));
    }
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
    assertTrue(output.contains("wrong setting: cannot load " + folder), output);
  }

  @Test
  void deniedNativeAccessNamesTheFlag() throws Exception {
    String output = inAnotherProcess("--illegal-native-access=deny");
    String why =
        ": native access is not enabled: start java with --enable-native-access=ALL-UNNAMED";
    assertTrue(
        output.contains("wrong setting" + why),
        output); // nothing may serve in the stead of what is named
  }

  /** The output of {@link Probe}, run where the library is a file that cannot be loaded. */
  private String inAnotherProcess(String option) throws Exception {
    Path file = Files.writeString(folder.resolve(SearchPath.FILE_NAME), "not an ELF file");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Process process =
        new ProcessBuilder(
                java,
                option,
                "-Dpanamoe.native.path=" + file,
                "-cp",
                System.getProperty("java.class.path"),
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
      UnsatisfiedLinkError error =
          assertThrows(UnsatisfiedLinkError.class, NativeLibrary::ensureAvailable);
      assertEquals(Optional.empty(), NativeLibrary.file());
      System.out.println("available: " + available + ", " + error.getMessage());
      try {
        NativeLibrary.refuseWrongSetting();
      } catch (UnsatisfiedLinkError e) {
        System.out.println("wrong setting: " + e.getMessage());
      }
    }
  }
}
