package panamoe.bindings;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/**
 * A folder of this user alone, into which the native library of a jar is unpacked. A version of the
 * library has its own folder there, named by its SHA-256. Files are put there whole by renaming, so
 * that processes may share the folder. Immutable.
 */
record UnpackFolder(Path path) {
  static final String PROPERTY = "panamoe.native.cache";
  static final String VARIABLE = "PANAMOE_NATIVE_CACHE";

  private static final FileAttribute<?> PRIVATE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  /** The library cannot be loaded from this folder; the message names it and says why. */
  static final class Refused extends Exception {
    private static final long serialVersionUID = 1;

    private Refused(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /**
   * The folders that a process may use, the best first: {@code panamoe-native} in the one that a
   * setting names and no other, or else {@code panamoe/native} in the user's cache folder, then one
   * for temporary files.
   *
   * @param properties system properties of the process
   * @param environment variables of the process
   * @throws UnsatisfiedLinkError if the setting is not a path
   */
  static List<UnpackFolder> of(Map<?, ?> properties, Map<String, String> environment) {
    for (Object named : new Object[] {properties.get(PROPERTY), environment.get(VARIABLE)}) {
      if (named instanceof String value && Setting.isSet(value)) {
        Path folder = Setting.path(value, SearchPath.FILE_NAME);
        return List.of(new UnpackFolder(folder.resolve("panamoe-native")));
      }
    }
    List<UnpackFolder> folders = new ArrayList<>();
    String cache = environment.get("XDG_CACHE_HOME");
    String home = environment.get("HOME");
    if (Setting.isSet(cache)) {
      folders.add(new UnpackFolder(Path.of(cache, "panamoe", "native").toAbsolutePath()));
    } else if (Setting.isSet(home)) {
      folders.add(new UnpackFolder(Path.of(home, ".cache", "panamoe", "native").toAbsolutePath()));
    }
    folders.add(
        new UnpackFolder(
            Path.of(
                String.valueOf(properties.get("java.io.tmpdir")),
                "panamoe-native-" + properties.get("user.name"))));
    return folders;
  }

  /**
   * Opens the library. A file that is missing or damaged is made first.
   *
   * @param digest SHA-256 of the library, in hexadecimal digits
   * @param content the library
   * @return the library's file
   * @throws Refused if the folder is not this user's alone to write, cannot be written, is full, or
   *     may not be executed from
   * @throws UnsatisfiedLinkError if the library cannot be loaded from any folder
   */
  Path load(String digest, Supplier<byte[]> content) throws Refused {
    Path file = path.resolve(digest).resolve(SearchPath.FILE_NAME);
    try {
      requirePrivate(path);
      if (Files.isDirectory(file)) {
        throw new IOException(file + " is a folder; remove it, the library takes its place");
      }
      if (!Files.isRegularFile(file) || !sha256(Files.readAllBytes(file)).equals(digest)) {
        write(file, content.get());
      }
    } catch (IOException e) {
      throw new Refused(path + ": " + reason(e), e);
    }
    try {
      SharedObject.open(file);
      return file;
    } catch (UnsatisfiedLinkError e) {
      if (Files.isExecutable(file)) {
        throw e; // a newer glibc is needed, say: no folder would help
      }
      throw new Refused(e.getMessage(), e); // mounted noexec
    }
  }

  /** A folder that exists stays as it is: it may be mounted read-only, with a good library. */
  private static void requirePrivate(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      Files.createDirectories(folder.getParent());
      Files.createDirectories(folder, PRIVATE);
    }
    Object user = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
    if (!Files.getAttribute(folder, "unix:uid", LinkOption.NOFOLLOW_LINKS).equals(user)) {
      throw new IOException("it belongs to somebody else");
    }
    Set<PosixFilePermission> rights = Files.getPosixFilePermissions(folder);
    if (rights.contains(PosixFilePermission.GROUP_WRITE)
        || rights.contains(PosixFilePermission.OTHERS_WRITE)) {
      throw new IOException("others may write to it");
    }
  }

  private static void write(Path file, byte[] content) throws IOException {
    Path folder = Files.createDirectories(file.getParent(), PRIVATE);
    Path written = Files.createTempFile(folder, "new", null, PRIVATE);
    try {
      try (FileChannel channel = FileChannel.open(written, StandardOpenOption.WRITE)) {
        for (ByteBuffer rest = ByteBuffer.wrap(content); rest.hasRemaining(); ) {
          channel.write(rest);
        }
        channel.force(true);
      }
      Files.move(written, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(written);
    }
  }

  private static String reason(IOException e) {
    return switch (e) {
      case AccessDeniedException at -> at.getFile() + " may not be read or written";
      case FileAlreadyExistsException at -> at.getFile() + " is a file, not a folder";
      case NoSuchFileException at -> at.getFile() + " is not there";
      case FileSystemException at when at.getReason() != null ->
          at.getFile() + ": " + at.getReason();
      default -> e.getMessage();
    };
  }

  /** In hexadecimal digits. */
  static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
