package panamoe.harness.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads one fact out of a file that the kernel writes, such as {@code /proc/meminfo}. */
final class SystemFile {
  private SystemFile() {}

  /** The first group of {@code pattern}; empty when the file or the fact is not there. */
  static Optional<String> find(String file, Pattern pattern) {
    try {
      Matcher matcher = pattern.matcher(Files.readString(Path.of(file)));
      return matcher.find() ? Optional.of(matcher.group(1)) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
