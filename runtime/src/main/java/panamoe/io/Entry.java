package panamoe.io;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/** What stands at a path. A link is a link, wherever it leads. */
public enum Entry {
  NONE("nothing"),
  FILE("a regular file"),
  FOLDER("a directory"),
  LINK("a symbolic link"),
  OTHER("a device or pipe");

  private final String words;

  Entry(String words) {
    this.words = words;
  }

  /** For a sentence, with its article. */
  public String words() {
    return words;
  }

  /**
   * Looks without opening: to open a pipe would wait for who writes into it.
   *
   * @throws IOException if it cannot be known
   */
  public static Entry at(Path path) throws IOException {
    return at(path, LinkOption.NOFOLLOW_LINKS);
  }

  /** What stands where a path leads, through links. */
  public static Entry behind(Path path) throws IOException {
    return at(path, new LinkOption[0]);
  }

  private static Entry at(Path path, LinkOption... options) throws IOException {
    try {
      BasicFileAttributes attributes =
          FileTrouble.twice(() -> Files.readAttributes(path, BasicFileAttributes.class, options));
      return attributes.isRegularFile()
          ? FILE
          : attributes.isDirectory() ? FOLDER : attributes.isSymbolicLink() ? LINK : OTHER;
    } catch (NoSuchFileException | NotDirectoryException e) {
      return NONE;
    } catch (FileSystemException e) {
      if (path.getParent() != null && Files.isRegularFile(path.getParent())) {
        return NONE; // below a file there is nothing
      }
      throw e;
    }
  }
}
