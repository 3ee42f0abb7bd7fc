package panamoe.harness.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.harness.OutputPlace;
import panamoe.io.Require;
import panamoe.io.SafeFolder;

/** Checks an output folder, so that no file is replaced. */
final class OutputFolder {
  private OutputFolder() {}

  /**
   * Accepts a folder that is empty or does not exist; creates nothing.
   *
   * @throws IllegalArgumentException if it is not empty, is a file, or cannot be created or written
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
