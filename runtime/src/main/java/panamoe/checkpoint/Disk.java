package panamoe.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import panamoe.io.FileErrors;
import panamoe.io.SafeFolder;
import panamoe.io.Sha256;

/**
 * The file operations of a save. A listener is called before each one, so that a test can make it
 * fail.
 */
record Disk(Listener listener) {
  /** Called before each operation; may throw the operation's exceptions. */
  @FunctionalInterface
  interface Listener {
    void before(String operation, Path path) throws IOException;
  }

  /** The content of a file, written in one or more pieces. */
  @FunctionalInterface
  interface Body {
    void writeTo(WritableByteChannel out) throws IOException;
  }

  void createDirectories(Path directory) throws IOException {
    listener.before("create", directory);
    Files.createDirectories(directory);
  }

  /** Creates a directory; fails if anything, even a dangling link, has that name. */
  void createDirectory(Path directory) throws IOException {
    listener.before("create", directory);
    Files.createDirectory(directory);
  }

  /** Creates a file, writes its content and forces it to the disk. */
  Manifest.FileEntry write(Path file, Body body) throws IOException {
    try (FileChannel channel = create(file)) {
      Digested out = new Digested(channel, file);
      body.writeTo(out);
      listener.before("force", file);
      channel.force(true);
      return new Manifest.FileEntry(
          out.bytes, Sha256.hex(out.digest), Crc32c.hex((int) out.checksum.getValue()));
    } catch (IOException e) {
      // The exception of a full disk does not name the file.
      throw new IOException(
          "writing " + file.getFileName() + " failed: " + FileErrors.reason(e), e);
    }
  }

  private FileChannel create(Path file) throws IOException {
    listener.before("create", file);
    return SafeFolder.createFile(file);
  }

  Manifest.FileEntry write(Path file, byte[] content) throws IOException {
    return write(
        file,
        out -> {
          for (ByteBuffer buffer = ByteBuffer.wrap(content); buffer.hasRemaining(); ) {
            out.write(buffer);
          }
        });
  }

  /** Renames {@code from} to {@code to}, replacing a file; {@code to} must not be a directory. */
  void rename(Path from, Path to) throws IOException {
    listener.before("rename", from);
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Forces the names in a directory to the disk. */
  void force(Path directory) throws IOException {
    listener.before("force", directory);
    SafeFolder.force(directory);
  }

  /** Deletes a file, or a directory with its contents; does nothing if it does not exist. */
  void delete(Path path) throws IOException {
    if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
      for (Path entry : list(path)) {
        delete(entry);
      }
    }
    listener.before("delete", path);
    Files.deleteIfExists(path);
  }

  static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> entries = FileErrors.twice(() -> Files.list(directory))) {
      return entries.sorted().toList();
    } catch (UncheckedIOException e) { // the directory could not be listed completely
      throw e.getCause();
    }
  }

  private final class Digested implements WritableByteChannel {
    private final MessageDigest digest = Sha256.digest();
    private final CRC32C checksum = new CRC32C();
    private final FileChannel channel;
    private final Path file;
    private long bytes;

    Digested(FileChannel channel, Path file) {
      this.channel = channel;
      this.file = file;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      listener.before("write", file);
      ByteBuffer written = source.duplicate();
      int count = channel.write(source);
      written.limit(written.position() + count);
      checksum.update(written.duplicate());
      digest.update(written);
      bytes += count;
      return count;
    }

    @Override
    public boolean isOpen() {
      return channel.isOpen();
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }
}
