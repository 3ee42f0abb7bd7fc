package panamoe.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/**
 * Reads files of untrusted origin: regular files only, and through no symbolic links except those
 * of Hugging Face's download cache. A failed read is retried once if that may help.
 */
public final class RegularFile {
  private RegularFile() {}

  /**
   * Opens a file for reading.
   *
   * @throws NoSuchFileException if it does not exist
   * @throws NotRegularException if it is a link, a directory, a device or a pipe
   */
  public static FileChannel open(Path path) throws IOException {
    Path file = PathKind.at(path) == PathKind.LINK ? ofCache(path) : path;
    PathKind found = PathKind.at(file);
    if (found == PathKind.NONE) {
      throw new NoSuchFileException(path.toString());
    }
    if (found != PathKind.FILE) {
      throw new NotRegularException(path, found, PathKind.FILE.words());
    }
    return FileErrors.twice(
        () -> FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
  }

  /** A file that the user named, also by a link. A missing file's path is returned as it is. */
  public static Path named(Path path) {
    try {
      return path.toRealPath();
    } catch (IOException _) {
      return path;
    }
  }

  /**
   * The target of a link {@code snapshots/REVISION/PATH} to {@code blobs/HASH} in the same cache;
   * for any other link the link itself.
   */
  private static Path ofCache(Path link) throws IOException {
    Path folder = link.toAbsolutePath().getParent().toRealPath();
    Path snapshots = folder.getParent();
    while (snapshots != null && !snapshots.endsWith("snapshots")) {
      snapshots = snapshots.getParent();
    }
    if (snapshots == null) {
      return link;
    }
    Path blobs = snapshots.resolveSibling("blobs");
    Path target = folder.resolve(Files.readSymbolicLink(link)).normalize();
    return blobs.equals(target.getParent()) && PathKind.at(blobs) == PathKind.FOLDER
        ? target
        : link;
  }

  /** Reads at a position, like {@link FileChannel#read(ByteBuffer, long)}. */
  public static int read(FileChannel channel, ByteBuffer into, long position) throws IOException {
    return FileErrors.twice(() -> channel.read(into, position));
  }

  /**
   * Reads a whole file.
   *
   * @throws FileSystemException also if it has more than {@code mostBytes}
   */
  public static byte[] read(Path path, int mostBytes) throws IOException {
    try (FileChannel channel = open(path)) {
      long bytes = channel.size();
      if (bytes > mostBytes) {
        throw new FileSystemException(
            path.toString(), null, "has " + bytes + " bytes, more than the limit " + mostBytes);
      }
      ByteBuffer content = ByteBuffer.allocate((int) bytes);
      while (content.hasRemaining() && read(channel, content, content.position()) >= 0) {
        // one call may return less than the file has
      }
      return content.hasRemaining()
          ? Arrays.copyOf(content.array(), content.position())
          : content.array();
    } catch (IOException e) {
      throw FileErrors.naming(path, e);
    }
  }
}
