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
import panamoe.io.FileTrouble;
import panamoe.io.PlainFolder;
import panamoe.io.Sha256;

/**
 * The file operations of which a save consists. Each is announced first, so that a test can make
 * any one fail.
 */
final class Disk {
  /** Called before each operation; may throw what the operation could. */
  @FunctionalInterface
  interface Listener {
    void before(String operation, Path path) throws IOException;
  }

  /** A body of a file, written in one or more pieces. */
  @FunctionalInterface
  interface Body {
    void writeTo(WritableByteChannel out) throws IOException;
  }

  private final Listener listener;

  Disk(Listener listener) {
    this.listener = listener;
  }

  void createDirectories(Path directory) throws IOException {
    listener.before("create", directory);
    Files.createDirectories(directory);
  }

  /** Creates a directory where there is nothing yet, no link to one either. */
  void createDirectory(Path directory) throws IOException {
    listener.before("create", directory);
    Files.createDirectory(directory);
  }

  /** Creates a file, writes it whole and forces it to the disk. */
  Manifest.FileEntry write(Path file, Body body) throws IOException {
    try (FileChannel channel = create(file)) {
      Digested out = new Digested(channel, file);
      body.writeTo(out);
      listener.before("force", file);
      channel.force(true);
      return new Manifest.FileEntry(
          out.bytes, Sha256.hex(out.digest), Crc32c.hex((int) out.checksum.getValue()));
    } catch (IOException e) {
      // What a full disk says names no file.
      throw new IOException(
          "writing " + file.getFileName() + " failed: " + FileTrouble.reason(e), e);
    }
  }

  private FileChannel create(Path file) throws IOException {
    listener.before("create", file);
    return PlainFolder.createFile(file);
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

  /** Replaces {@code to} if it is a file; a directory must not exist there. */
  void rename(Path from, Path to) throws IOException {
    listener.before("rename", from);
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Makes the names in a directory durable. */
  void force(Path directory) throws IOException {
    listener.before("force", directory);
    PlainFolder.force(directory);
  }

  /** Deletes a file or a directory and all that is in it; nothing happens if it does not exist. */
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
    try (Stream<Path> entries = FileTrouble.twice(() -> Files.list(directory))) {
      return entries.sorted().toList();
    } catch (UncheckedIOException e) { // a directory that is read as far as it can be
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
