package panamoe.bindings;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Reads a library's path from the value of a system property or environment variable; null means
 * not set.
 */
final class Setting {
  private Setting() {}

  /** Whether the value is set and not blank. */
  static boolean isSet(String value) {
    return value != null && !value.isBlank();
  }

  /**
   * The file that the value names; if that is a folder, the file {@code fileName} in it.
   *
   * @throws UnsatisfiedLinkError if the value is not a valid path on this system
   */
  static Path file(String value, String fileName) {
    Path path = path(value, fileName);
    return Files.isDirectory(path) ? path.resolve(fileName) : path;
  }

  /**
   * The value as a path.
   *
   * @param fileName the library, for the message
   * @throws UnsatisfiedLinkError if the value is not a valid path on this system
   */
  static Path path(String value, String fileName) {
    try {
      return Path.of(value).toAbsolutePath();
    } catch (InvalidPathException e) {
      throw SharedObject.unsatisfied(
          "'"
              + value
              + "', named for "
              + fileName
              + ", is no path on this system: "
              + e.getReason(),
          e);
    }
  }

  /** The folders of a list such as {@code java.library.path}. */
  static List<Path> folders(String value) {
    return isSet(value)
        ? Arrays.stream(value.split(File.pathSeparator))
            .filter(Setting::isSet)
            .map(folder -> Path.of(folder).toAbsolutePath())
            .toList()
        : List.of();
  }
}
