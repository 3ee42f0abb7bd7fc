package panamoe.harness.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.harness.OutputPlace;
import panamoe.io.Require;
import panamoe.io.SafeFolder;

/** A place for new files, so that none of another kind is replaced. */
final class EmptyFolder {
  private EmptyFolder() {}

  /**
   * A folder that is empty or not there; creates nothing.
   *
   * @throws IllegalArgumentException if it holds something, is a file, or cannot be made or written
   */
  static SafeFolder at(Path path) throws IOException {
    Require.that(
        !Files.exists(path) || Files.isDirectory(path), "%s is a file; --out is a folder", path);
    SafeFolder folder = new SafeFolder(path);
    if (Files.exists(path) && !folder.names("").isEmpty()) {
      throw new IllegalArgumentException(path + " is not empty; choose another --out");
    }
    OutputPlace.requireFolder(path, "--out");
    return folder;
  }
}
