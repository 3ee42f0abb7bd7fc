package panamoe.harness;

import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import panamoe.io.Require;

/** Checks a path that a command will write to; missing parent folders are created then. */
public final class OutputPlace {
  private OutputPlace() {}

  /**
   * Refuses a path where a new file cannot be created.
   *
   * @param option that names it, for messages
   * @throws IllegalArgumentException if the path exists, or its folder cannot be created or written
   */
  public static void requireNewFile(Path file, String option) {
    requireNoFolder(file, option);
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new IllegalArgumentException(file + " exists already; choose another " + option);
    }
    requireFolder(folderOf(file), option);
  }

  /** Refuses a path that cannot be written; an existing file is replaced or appended to. */
  public static void requireFile(Path file, String option) {
    requireNoFolder(file, option);
    if (!Files.exists(file)) {
      requireFolder(folderOf(file), option);
    } else if (!Files.isWritable(file)) {
      throw new IllegalArgumentException(file + " is not writable; choose another " + option);
    }
  }

  /**
   * Refuses a folder that cannot be created or written.
   *
   * @param option that names it, for messages
   * @throws IllegalArgumentException with the file or folder that is in the way
   */
  public static void requireFolder(Path folder, String option) {
    Path above = folder.toAbsolutePath().normalize();
    while (!Files.exists(above)) {
      above = above.getParent();
    }
    Require.that(
        Files.isDirectory(above), "cannot make the folder %s: %s is a file", folder, above);
    Require.that(
        Files.isWritable(above), "the folder %s is not writable; choose another %s", above, option);
  }

  /** The folder of a file. */
  public static Path folderOf(Path file) {
    return file.toAbsolutePath().normalize().getParent();
  }

  private static void requireNoFolder(Path file, String option) {
    Require.that(!Files.isDirectory(file), "%s is a folder; %s is a file", file, option);
  }
}
