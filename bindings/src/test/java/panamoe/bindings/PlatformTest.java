package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PlatformTest {
  @ParameterizedTest
  @CsvSource({
    "Windows 11, amd64, false, Windows 11 on amd64",
    "Mac OS X, aarch64, false, Mac OS X on aarch64",
    "Linux, riscv64, false, Linux on riscv64",
    "Linux, amd64, true, Linux on amd64 with musl",
    "Linux, aarch64, true, Linux on aarch64 with musl",
  })
  void whatIsNotSupportedIsToldInASentence(
      String system, String architecture, boolean musl, String words) {
    Platform platform = new Platform(system, architecture, musl);
    assertEquals(
        "the native library runs on Linux on x86-64 or aarch64 with glibc, and this is "
            + words
            + "; the device \"reference\" (plain Java, slow) works here",
        assertThrows(UnsatisfiedLinkError.class, platform::requireSupported).getMessage());
  }

  @Test
  void thisOneIsSupported() {
    assertDoesNotThrow(Platform.ofProcess()::requireSupported);
  }

  @ParameterizedTest
  @CsvSource({"amd64, linux-x86_64", "x86_64, linux-x86_64", "aarch64, linux-aarch64"})
  void aSupportedOneHasTheNameOfItsJar(String architecture, String name) {
    Platform platform = new Platform("Linux", architecture, false);
    assertDoesNotThrow(platform::requireSupported);
    assertEquals(name, platform.name());
  }

  @Test
  void muslIsKnownByItsLoader() {
    String glibc = "7f0000-7f1000 r-xp 00000000 08:01 42  /usr/lib/x86_64-linux-gnu/libc.so.6";
    assertFalse(Platform.isMusl(List.of(glibc)));
    assertTrue(
        Platform.isMusl(List.of("7f0000-7f1000 r-xp 00000000 08:01 42  /lib/ld-musl-x86_64.so.1")));
  }
}
