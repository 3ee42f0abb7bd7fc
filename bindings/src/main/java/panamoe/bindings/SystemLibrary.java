package panamoe.bindings;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A library that others ship and that may be missing, such as Open MPI's. Opened when it is first needed, so that
 * everything else runs without it. Thread-safe.
 *
 * @param words what it is, for messages
 * @param fileName such as {@code libmpi.so.40}
 * @param property system property that names the file, or its directory, where the system does not find it by itself
 * @param variable environment variable for the same
 * @param advice how to get it
 */
public record SystemLibrary(String words, String fileName, String property, String variable, String advice) {
  /**
   * Makes the library's functions visible to the classes of this module. Further calls change nothing.
   *
   * @throws UnsatisfiedLinkError if it is not there; one sentence that says what was looked for, where and what to do
   */
  public void load() {
    Optional<Path> named =
        Stream.of(System.getProperty(property), System.getenv(variable))
            .filter(Setting::isSet)
            .map(setting -> Setting.file(setting, fileName))
            .findFirst();
    if (named.isPresent() && !Files.isRegularFile(named.get())) {
      throw new UnsatisfiedLinkError(
          String.format(
              Locale.ROOT,
              "%s is not there: no file %s, which -D%s or %s names", words, named.get(), property, variable));
    }
    System.load(named.orElseGet(this::systemsOwn).toString());
  }

  /** Lets the system's loader find the file by its rules, then asks the kernel which one it took. */
  private Path systemsOwn() {
    try {
      SymbolLookup.libraryLookup(fileName, Arena.global());
    } catch (IllegalArgumentException _) {
      String path = System.getenv("LD_LIBRARY_PATH");
      throw new UnsatisfiedLinkError(
          String.format(
              Locale.ROOT,
              "%s is not there: %s was looked for in LD_LIBRARY_PATH (%s) and in the system's folders (ldconfig -p);"
                  + " %s, or name the file with -D%s or %s",
              words, fileName, path == null ? "not set" : path, advice, property, variable));
    }
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      String start = fileName.substring(0, fileName.indexOf(".so") + 3);
      return maps.map(line -> line.substring(Math.max(0, line.indexOf('/'))))
          .filter(file -> file.substring(file.lastIndexOf('/') + 1).startsWith(start))
          .map(Path::of)
          .findFirst()
          .orElseThrow(() -> new UnsatisfiedLinkError(fileName + " was opened, but /proc/self/maps does not show it"));
    } catch (IOException e) {
      throw new UnsatisfiedLinkError("cannot find out where " + fileName + " was found: " + e.getMessage());
    }
  }
}
