package panamoe.checkpoint.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SavedFile;
import panamoe.io.Words;

/**
 * Reads little-endian numbers and strings from the beginning of a file on. Every length is compared
 * with what is left of the file before memory is allocated for it.
 */
final class GgufInput {
  /** The longest header that is read; those of released models have some ten million bytes. */
  static final int MAX_HEADER_BYTES = 100_000_000;

  private static final int WINDOW_BYTES = 1 << 16;

  private final Path path;
  private final FileChannel channel;
  private final long fileBytes;
  private final ByteBuffer window =
      ByteBuffer.allocate(WINDOW_BYTES).order(ByteOrder.LITTLE_ENDIAN).limit(0);
  private long windowEnd; // position in the file of the window's limit

  GgufInput(Path path, FileChannel channel) throws IOException {
    this.path = path;
    this.channel = channel;
    this.fileBytes = channel.size();
  }

  long fileBytes() {
    return fileBytes;
  }

  long position() {
    return windowEnd - window.remaining();
  }

  /** {@code what} names the number for the message of a file that ends before. */
  int int32(String what) throws IOException {
    return next(Integer.BYTES, what).getInt();
  }

  long int64(String what) throws IOException {
    return next(Long.BYTES, what).getLong();
  }

  /**
   * A length of eight bytes and as many bytes of UTF-8; wrong ones become replacement characters.
   */
  String string(String what, int mostBytes) throws IOException {
    long length = int64("the length of " + what);
    if (Long.compareUnsigned(length, mostBytes) > 0) {
      throw bad(
          "%s has %s bytes, at most %s are allowed",
          what, Long.toUnsignedString(length), mostBytes);
    }
    return new String(bytes(length, 1, what).array(), StandardCharsets.UTF_8);
  }

  /**
   * Copies {@code count} (unsigned) times {@code size} bytes.
   *
   * @return a buffer in little-endian order
   */
  ByteBuffer bytes(long count, int size, String what) throws IOException {
    require(count, size, what);
    ByteBuffer bytes = ByteBuffer.allocate((int) count * size).order(ByteOrder.LITTLE_ENDIAN);
    int held = Math.min(window.remaining(), bytes.remaining());
    bytes.put(window.slice(window.position(), held));
    window.position(window.position() + held);
    if (bytes.hasRemaining()) {
      long at = windowEnd;
      windowEnd += bytes.remaining();
      SavedFile.readFully(channel, bytes, at, path);
    }
    return bytes.flip();
  }

  /**
   * Refuses {@code count} (unsigned) things of at least {@code size} bytes each that do not fit.
   */
  void require(long count, int size, String what) {
    long left = fileBytes - position();
    if (count < 0 || count > left / size) {
      throw bad(
          "%s takes %s%s bytes, but only %s are left of the file",
          what, Long.toUnsignedString(count), size == 1 ? "" : " times " + size, left);
    }
    if (position() + count * size > MAX_HEADER_BYTES) {
      throw bad("its header is longer than " + MAX_HEADER_BYTES + " bytes, the limit, at " + what);
    }
  }

  private ByteBuffer next(int size, String what) throws IOException {
    if (window.remaining() < size) {
      require(1, size, what);
      int filled = (int) Math.min(WINDOW_BYTES, fileBytes - position());
      window.compact().limit(filled);
      int added = window.remaining();
      SavedFile.readFully(channel, window, windowEnd, path);
      windowEnd += added;
      window.flip();
    }
    return window;
  }

  CheckpointException bad(String pattern, Object... values) {
    return new CheckpointException("%s: %s", path, Words.of(pattern, values));
  }
}
