package panamoe.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Names under which files and folders are written until they are whole, {@code .NAME.tmp-PID}: each
 * process has its own, so that what a killed one left is known.
 */
public final class TemporaryName {
  private static final Pattern HIDDEN = Pattern.compile("\\.(.+)\\.tmp-(\\d{1,18})");

  private TemporaryName() {}

  /** This process's name for a path, beside it. */
  public static Path of(Path path) {
    return path.resolveSibling("." + path.getFileName() + ".tmp-" + ProcessHandle.current().pid());
  }

  /** A sentence in which this process's hidden names are those that the files will have. */
  public static String unhidden(String sentence) {
    String name = "\\.([^/]+)\\.tmp-" + ProcessHandle.current().pid() + "\\b";
    return sentence.replaceAll(name, "$1");
  }

  /** Whether it is a hidden name of this process, or of one that is gone. */
  public static boolean isStale(Path path) {
    Matcher matcher = HIDDEN.matcher(path.getFileName().toString());
    return matcher.matches() && isOver(Long.parseLong(matcher.group(2)));
  }

  /**
   * What this process, or one that is gone, has left beside a path while it wrote it.
   *
   * @param path absolute
   * @throws IOException if the folder cannot be listed
   */
  public static List<Path> staleOf(Path path) throws IOException {
    try (Stream<Path> all = Files.list(path.getParent())) {
      return all.filter(TemporaryName::isStale)
          .filter(
              each -> each.getFileName().toString().startsWith("." + path.getFileName() + ".tmp-"))
          .toList();
    }
  }

  private static boolean isOver(long process) {
    return process == ProcessHandle.current().pid() || ProcessHandle.of(process).isEmpty();
  }
}
