package panamoe.io;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/** The kind of entry at a path. A symbolic link is a link, whatever its target. */
public enum PathKind {
  NONE("nothing"),
  FILE("a regular file"),
  FOLDER("a directory"),
  LINK("a symbolic link"),
  OTHER("a device or pipe");

  private final String words;

  PathKind(String words) {
    this.words = words;
  }

  /** The kind in words, with an article. */
  public String words() {
    return words;
  }

  /**
   * The kind of entry, without opening it: opening a pipe would wait for a writer.
   *
   * @throws IOException if the kind cannot be read
   */
  public static PathKind at(Path path) throws IOException {
    return at(path, LinkOption.NOFOLLOW_LINKS);
  }

  /** The kind of entry after following links. */
  public static PathKind behind(Path path) throws IOException {
    return at(path, new LinkOption[0]);
  }

  private static PathKind at(Path path, LinkOption... options) throws IOException {
    try {
      BasicFileAttributes attributes =
          FileErrors.twice(() -> Files.readAttributes(path, BasicFileAttributes.class, options));
      return attributes.isRegularFile()
          ? FILE
          : attributes.isDirectory() ? FOLDER : attributes.isSymbolicLink() ? LINK : OTHER;
    } catch (NoSuchFileException | NotDirectoryException e) {
      return NONE;
    } catch (FileSystemException e) {
      if (path.getParent() != null && Files.isRegularFile(path.getParent())) {
        return NONE; // a part of the path is a file
      }
      throw e;
    }
  }
}
