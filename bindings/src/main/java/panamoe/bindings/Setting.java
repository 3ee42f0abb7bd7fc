package panamoe.bindings;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * What a system property or an environment variable says of where a library is; null where it is
 * not set.
 */
final class Setting {
  private Setting() {}

  /** Whether it names anything. */
  static boolean isSet(String value) {
    return value != null && !value.isBlank();
  }

  /**
   * The file that it names, or the one called {@code fileName} in the folder that it names.
   *
   * @throws UnsatisfiedLinkError if it can name no file on this system
   */
  static Path file(String value, String fileName) {
    Path path = path(value, fileName);
    return Files.isDirectory(path) ? path.resolve(fileName) : path;
  }

  /**
   * The path that it names for {@code fileName}.
   *
   * @throws UnsatisfiedLinkError if it can be none on this system
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
