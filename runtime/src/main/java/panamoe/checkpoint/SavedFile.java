package panamoe.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.security.MessageDigest;
import panamoe.io.RegularFile;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads the files of checkpoints. It reports damage, which bytes prove, apart from a failed read,
 * which says nothing about the file.
 */
public final class SavedFile {
  /** The end of a message about a file that is shorter than its header says. */
  public static final String CUT_OFF = "; if it was cut off on its way, download or copy it again";

  private static final int CHUNK_BYTES = 1 << 20;
  private static final long READ_BYTES = 64L << 20;

  private SavedFile() {}

  /**
   * Opens a regular file for reading.
   *
   * @throws CheckpointException if the file is missing, not regular, or cannot be read
   */
  public static FileChannel open(Path path) {
    try {
      return RegularFile.open(path);
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
  }

  /**
   * Reads a JSON object from a file of at most {@code mostBytes}.
   *
   * @throws CheckpointException if the file cannot be read, or holds none
   */
  public static ObjectNode object(Path path, int mostBytes) {
    byte[] content;
    try {
      content = RegularFile.read(path, mostBytes);
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
    try {
      if (StrictJson.tree(content) instanceof ObjectNode object) {
        return object;
      }
      throw CheckpointException.damaged(path + " does not hold a JSON object");
    } catch (JacksonException e) {
      throw CheckpointException.damaged(path + " is not valid JSON: " + StrictJson.reason(e));
    }
  }

  /** As below, for memory of any size. */
  public static void readFully(FileChannel channel, MemorySegment into, long position, Path path)
      throws IOException {
    for (long at = 0; at < into.byteSize(); at += READ_BYTES) {
      long length = Math.min(READ_BYTES, into.byteSize() - at);
      readFully(channel, into.asSlice(at, length).asByteBuffer(), position + at, path);
    }
  }

  /** Fills the buffer, starting at the position; a file that ends before is an error. */
  public static void readFully(FileChannel channel, ByteBuffer buffer, long position, Path path)
      throws IOException {
    long at = position;
    while (buffer.hasRemaining()) {
      int read = RegularFile.read(channel, buffer, at);
      if (read < 0) {
        throw CheckpointException.damaged(
            "%s was truncated: it ends at byte %s, %s more were expected",
            path, at, buffer.remaining());
      }
      at += read;
    }
  }

  /** The file's SHA-256 in lower-case hexadecimal digits. */
  static String sha256(Path path) {
    try (FileChannel channel = open(path)) {
      MessageDigest digest = Sha256.digest();
      ByteBuffer buffer = ByteBuffer.allocate(CHUNK_BYTES);
      for (long at = 0;
          RegularFile.read(channel, buffer, at) >= 0;
          at += buffer.limit(), buffer.clear()) {
        digest.update(buffer.flip());
      }
      return Sha256.hex(digest);
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
  }
}
