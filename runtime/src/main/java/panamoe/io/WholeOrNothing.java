package panamoe.io;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Creates a file or folder atomically: under a hidden name, renamed once it is on the disk. */
public final class WholeOrNothing {
  /** Writes a file or folder at the given path. */
  @FunctionalInterface
  public interface Body {
    void writeTo(Path hidden) throws IOException;
  }

  private WholeOrNothing() {}

  /**
   * Refuses a path that exists, except as an empty folder.
   *
   * @throws FileAlreadyExistsException if it exists
   */
  public static void requireFree(Path path) throws IOException {
    if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
      try (Stream<Path> held = Files.list(path)) {
        if (held.findAny().isEmpty()) {
          return;
        }
      }
    }
    requireFreeFile(path);
  }

  /**
   * Refuses a path that exists, even as an empty folder, for a new file.
   *
   * @throws FileAlreadyExistsException if it exists
   */
  public static void requireFreeFile(Path path) throws IOException {
    if (Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      throw new FileAlreadyExistsException(path.toString());
    }
  }

  /**
   * Creates {@code path} and its missing parents; a failure leaves none of them. Leftovers of a
   * killed process are deleted.
   *
   * @throws FileAlreadyExistsException if something is there
   * @throws FileSystemException for every other failure; names the file that failed, or {@code
   *     path} if that is not known
   */
  public static void make(Path path, Body body) throws FileSystemException {
    try {
      requireFree(path);
      put(
          path,
          hidden -> {
            body.writeTo(hidden);
            if (!Files.isDirectory(hidden)) {
              requireFreeFile(path); // here the message names the path, not the hidden file
            }
          });
    } catch (IOException e) {
      throw FileErrors.naming(path, e);
    }
  }

  /**
   * Like {@link #make}, but a file that is there is replaced by a whole one, or stays. A link's
   * target is replaced; a device or pipe is written to.
   */
  public static void replace(Path file, Body body) throws FileSystemException {
    try {
      boolean there = Files.exists(file);
      if (there && !Files.isRegularFile(file)) {
        body.writeTo(file);
      } else {
        put(there ? file.toRealPath() : file, body);
      }
    } catch (IOException e) {
      throw FileErrors.naming(file, e);
    }
  }

  private static void put(Path path, Body body) throws IOException {
    Path whole = path.toAbsolutePath().normalize();
    Path folder = whole.getParent();
    Path hidden = TemporaryName.of(whole);
    List<Path> missing = SafeFolder.missing(folder);
    try {
      new SafeFolder(folder).make();
      for (Path stale : TemporaryName.staleOf(whole)) {
        remove(stale);
      }
      body.writeTo(hidden);
      SafeFolder.force(hidden);
      Files.move(hidden, whole, StandardCopyOption.ATOMIC_MOVE);
      SafeFolder.force(folder);
    } catch (IOException | RuntimeException | Error e) {
      undo(hidden, missing, e);
      throw e;
    }
  }

  private static void undo(Path hidden, List<Path> missing, Throwable failure) {
    try {
      remove(hidden);
      SafeFolder.removeEmpty(missing);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  private static void remove(Path path) throws IOException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try (Stream<Path> all = Files.walk(path)) {
      List<Path> deepestFirst = all.sorted(Comparator.reverseOrder()).toList();
      for (Path each : deepestFirst) {
        Files.delete(each);
      }
    }
  }
}
