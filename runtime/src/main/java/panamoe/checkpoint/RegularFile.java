package panamoe.checkpoint;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import panamoe.io.FileTrouble;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;

/** Opens files that may have been put there by somebody else: regular ones only, never through a symbolic link. */
final class RegularFile {
  private static final int CHUNK_BYTES = 1 << 20;

  private RegularFile() {}

  static FileChannel open(Path path) {
    try {
      // Looked at before opening, because opening a FIFO would wait for a writer.
      BasicFileAttributes attributes =
          Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      if (!attributes.isRegularFile()) {
        String kind = attributes.isSymbolicLink() ? "a symbolic link"
            : attributes.isDirectory() ? "a directory" : "a device or pipe";
        throw new CheckpointException(path + " is " + kind + ", not a regular file");
      }
      return FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
    } catch (NoSuchFileException e) {
      throw new CheckpointException(path + " does not exist", e);
    } catch (IOException e) {
      throw new CheckpointException("cannot open " + path + ": " + FileTrouble.reason(e), e);
    }
  }

  /** Reads a whole file of at most {@code mostBytes}. */
  static byte[] read(Path path, int mostBytes) {
    try (FileChannel channel = open(path)) {
      if (channel.size() > mostBytes) {
        throw new CheckpointException(path + " has " + channel.size() + " bytes, more than the limit " + mostBytes);
      }
      byte[] bytes = new byte[(int) channel.size()];
      readFully(channel, ByteBuffer.wrap(bytes), 0, path);
      return bytes;
    } catch (IOException e) {
      throw new CheckpointException("cannot read " + path + ": " + FileTrouble.reason(e), e);
    }
  }

  /** Reads a JSON object from a file of at most {@code mostBytes}. */
  static ObjectNode object(Path path, int mostBytes) {
    try {
      if (StrictJson.tree(read(path, mostBytes)) instanceof ObjectNode object) {
        return object;
      }
      throw new CheckpointException(path + " does not hold a JSON object");
    } catch (IOException e) {
      throw new CheckpointException(path + " is not valid JSON: " + StrictJson.reason(e), e);
    }
  }

  /** Fills the buffer from the position on; a file that ends before is an error. */
  static void readFully(FileChannel channel, ByteBuffer buffer, long position, Path path) throws IOException {
    long at = position;
    while (buffer.hasRemaining()) {
      int read = channel.read(buffer, at);
      if (read < 0) {
        throw new CheckpointException(path + " was truncated: it ends at byte " + at + ", "
            + buffer.remaining() + " more were expected");
      }
      at += read;
    }
  }

  /** The file's SHA-256 in lower-case hexadecimal digits. */
  static String sha256(Path path) {
    try (FileChannel channel = open(path)) {
      MessageDigest digest = Sha256.digest();
      ByteBuffer buffer = ByteBuffer.allocate(CHUNK_BYTES);
      for (long at = 0; channel.read(buffer, at) >= 0; at += buffer.limit(), buffer.clear()) {
        digest.update(buffer.flip());
      }
      return Sha256.hex(digest);
    } catch (IOException e) {
      throw new CheckpointException("cannot read " + path + ": " + FileTrouble.reason(e), e);
    }
  }
}
