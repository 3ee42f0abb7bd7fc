package panamoe.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A folder that this program writes into, with content of untrusted origin, such as an unpacked
 * run. It never writes through a symbolic link at any depth and opens only regular files; the
 * folder itself may be reached through a link. Each entry is checked before it is opened. This
 * protects against the folder's content, not against a process that changes it at the same moment.
 * Thread-safe as far as the file system is.
 *
 * <p>Names are relative, with {@code /} between their parts. All methods throw {@link
 * NotRegularException} if a link, pipe, device or folder is in the way.
 *
 * @param path of the folder; it need not exist yet
 */
public record SafeFolder(Path path) {
  /** Creates the folder and its missing parents, durably. */
  public void make() throws IOException {
    List<Path> missing = missing(path);
    Files.createDirectories(path);
    for (Path made : missing) {
      // A folder without read permission cannot be forced.
      if (Files.isReadable(made.getParent())) {
        force(made.getParent());
      }
    }
  }

  /** The folder and its missing parents, the deepest first. */
  public static List<Path> missing(Path path) {
    List<Path> missing = new ArrayList<>();
    for (Path at = path.toAbsolutePath(); at != null && Files.notExists(at); at = at.getParent()) {
      missing.add(at);
    }
    return missing;
  }

  /**
   * Deletes folders that were {@link #missing} before, up to the first non-empty one.
   *
   * @throws IOException if an empty one cannot be deleted
   */
  public static void removeEmpty(List<Path> made) throws IOException {
    try {
      for (Path folder : made) {
        Files.deleteIfExists(folder);
      }
    } catch (DirectoryNotEmptyException e) {
      // others are using it
    }
  }

  /** The path of a name; neither it nor a folder below this one may be a link. */
  public Path resolve(String name) throws IOException {
    Path at = path;
    for (Path part : Path.of(name)) {
      if (!at.equals(path)) {
        requireKind(at, PathKind.FOLDER);
      }
      at = at.resolve(part);
    }
    return at;
  }

  /** The path of a file, if it exists. */
  public Path file(String name) throws IOException {
    return requireKind(resolve(name), PathKind.FILE);
  }

  /** The path of a folder, if it exists. */
  public Path folder(String name) throws IOException {
    return requireKind(resolve(name), PathKind.FOLDER);
  }

  /** The sorted names in a folder; empty if it does not exist. */
  public List<String> names(String name) throws IOException {
    if (PathKind.at(folder(name)) == PathKind.NONE) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(folder(name))) {
      return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
    }
  }

  /** Whether there is a regular file. */
  public boolean has(String name) throws IOException {
    return PathKind.at(file(name)) == PathKind.FILE;
  }

  /** Creates a folder unless it exists; a power failure may lose it until {@link #force}. */
  public Path makeFolder(String name) throws IOException {
    Path folder = folder(name);
    return PathKind.at(folder) == PathKind.FOLDER ? folder : Files.createDirectory(folder);
  }

  /**
   * Writes a file atomically, also in a power failure: under another name, forced to the disk,
   * renamed, and the folder forced.
   *
   * @param attributes of the file, such as permissions
   */
  public Path replace(String name, byte[] content, FileAttribute<?>... attributes)
      throws IOException {
    Path file = file(name);
    Path temporary = file.resolveSibling(temporary(file.getFileName().toString()));
    try {
      Files.deleteIfExists(temporary); // left by a killed process
      try (FileChannel channel = createFile(temporary, attributes)) {
        for (ByteBuffer buffer = ByteBuffer.wrap(content); buffer.hasRemaining(); ) {
          channel.write(buffer);
        }
        channel.force(true);
      }
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
      force(file.getParent());
      return file;
    } catch (IOException e) {
      try {
        Files.deleteIfExists(temporary); // leave no partial file
      } catch (IOException undeleted) {
        e.addSuppressed(undeleted);
      }
      throw FileErrors.naming(file, e);
    }
  }

  /** Appends to a file, creating it if needed. The data is durable after {@link #forceFile}. */
  public void append(String name, byte[] content) throws IOException {
    Path file = file(name);
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.APPEND,
            LinkOption.NOFOLLOW_LINKS)) {
      for (ByteBuffer buffer = ByteBuffer.wrap(content); buffer.hasRemaining(); ) {
        channel.write(buffer);
      }
    } catch (IOException e) {
      throw FileErrors.naming(file, e);
    }
  }

  /** Opens a file for locking, creating it if needed; nothing is written into it. */
  public FileChannel openLock(String name) throws IOException {
    return FileChannel.open(
        file(name), StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
  }

  /** Reads a file of at most 2^31 - 9 bytes. */
  public byte[] read(String name) throws IOException {
    return RegularFile.read(file(name), Integer.MAX_VALUE - 8);
  }

  /** Makes a file's content and its name durable. */
  public void forceFile(String name) throws IOException {
    Path file = file(name);
    force(file);
    force(file.getParent());
  }

  /** Deletes a file if it exists. */
  public void delete(String name) throws IOException {
    Files.deleteIfExists(file(name));
  }

  /** The name under which {@link #replace} writes. */
  public static String temporary(String name) {
    return "." + name + ".tmp";
  }

  /** Creates a file and opens it for writing; fails if the name exists, even as a dangling link. */
  public static FileChannel createFile(Path file, FileAttribute<?>... attributes)
      throws IOException {
    return FileChannel.open(
        file,
        Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW, LinkOption.NOFOLLOW_LINKS),
        attributes);
  }

  /** Makes a file's content, or the names in a folder, durable. */
  public static void force(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private static Path requireKind(Path at, PathKind wanted) throws IOException {
    PathKind found = PathKind.at(at);
    if (found != PathKind.NONE && found != wanted) {
      throw new NotRegularException(at, found, wanted.words());
    }
    return at;
  }
}
