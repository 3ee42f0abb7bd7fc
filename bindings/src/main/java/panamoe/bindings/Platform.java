package panamoe.bindings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * The platform of this process, compared with what the native library needs. Immutable.
 *
 * @param system the system property {@code os.name}
 * @param architecture the system property {@code os.arch}
 * @param musl whether the C library of this process is musl
 */
record Platform(String system, String architecture, boolean musl) {
  private static final List<String> PROCESSORS = List.of("amd64", "x86_64", "aarch64");
  private static final Path MAPS = Path.of("/proc/self/maps");

  static Platform ofProcess() {
    return new Platform(
        System.getProperty("os.name"), System.getProperty("os.arch"), isMusl(mappedFiles()));
  }

  /** As in the classifiers of {@code panamoe-native}, for example {@code linux-x86_64}. */
  String name() {
    return system.toLowerCase(Locale.ROOT)
        + "-"
        + (architecture.equals("amd64") ? "x86_64" : architecture);
  }

  /** Whether musl's loader, which is also its C library, is mapped into a process. */
  static boolean isMusl(List<String> maps) {
    return maps.stream().anyMatch(line -> line.contains("/ld-musl-"));
  }

  private static List<String> mappedFiles() {
    try {
      return Files.isReadable(MAPS) ? Files.readAllLines(MAPS) : List.of();
    } catch (IOException _) {
      return List.of(); // then loading the library reports the problem
    }
  }

  /**
   * @throws UnsatisfiedLinkError if the native library cannot run here; the message says where it
   *     can
   */
  void requireSupported() {
    if (!system.equals("Linux") || !PROCESSORS.contains(architecture) || musl) {
      throw new UnsatisfiedLinkError(
          "the native library runs on Linux on x86-64 or aarch64 with glibc, and this is "
              + system
              + " on "
              + architecture
              + (musl ? " with musl" : "")
              + "; the device \"reference\" (plain Java, slow) works here");
    }
  }
}
