package panamoe.harness.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads one value from a file of the kernel, such as {@code /proc/meminfo}. */
public final class SystemFile {
  private SystemFile() {}

  /** The first group of {@code pattern}; empty if the file is missing or nothing matches. */
  public static Optional<String> find(String file, Pattern pattern) {
    try {
      Matcher matcher = pattern.matcher(Files.readString(Path.of(file)));
      return matcher.find() ? Optional.of(matcher.group(1)) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** The processor's model name; its architecture if the kernel has no name. */
  public static String processor() {
    return find("/proc/cpuinfo", Pattern.compile("model name\\s*: (.*)"))
        .orElse(System.getProperty("os.arch"));
  }
}
