package panamoe.harness;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.io.FileErrors;

/** A small text file that the user names; it may be a pipe. */
public final class UserText {
  private UserText() {}

  /**
   * Reads the file as UTF-8.
   *
   * @throws FileSystemException with the file's name, which Java's lack for a folder or invalid
   *     bytes
   */
  public static String of(Path file) throws FileSystemException {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw FileErrors.naming(file, e);
    }
  }
}
