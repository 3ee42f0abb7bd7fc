package panamoe.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Names of unfinished files and folders, {@code .NAME.tmp-PID}: each process has its own, so that
 * leftovers of a killed one are recognised.
 */
public final class TemporaryName {
  private static final Pattern HIDDEN = Pattern.compile("\\.(.+)\\.tmp-(\\d{1,18})");

  private TemporaryName() {}

  /** This process's temporary name next to a path. */
  public static Path of(Path path) {
    return path.resolveSibling("." + path.getFileName() + ".tmp-" + ProcessHandle.current().pid());
  }

  /** A message with this process's temporary names replaced by the final ones. */
  public static String unhidden(String sentence) {
    String name = "\\.([^/]+)\\.tmp-" + ProcessHandle.current().pid() + "\\b";
    return sentence.replaceAll(name, "$1");
  }

  /** Whether it is a temporary name of this process, or of one that no longer runs. */
  public static boolean isStale(Path path) {
    Matcher matcher = HIDDEN.matcher(path.getFileName().toString());
    return matcher.matches() && isOver(Long.parseLong(matcher.group(2)));
  }

  /**
   * The leftovers of this process, or of one that no longer runs, from writing a path.
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
