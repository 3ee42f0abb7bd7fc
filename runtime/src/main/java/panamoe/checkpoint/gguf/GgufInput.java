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
 * with the rest of the file before memory is allocated.
 */
final class GgufInput {
  /** The longest accepted header; released models have about ten million bytes. */
  static final int MAX_HEADER_BYTES = 100_000_000;

  private static final int WINDOW_BYTES = 1 << 16;

  private final Path path;
  private final FileChannel channel;
  private final long fileBytes;
  private final ByteBuffer window =
      ByteBuffer.allocate(WINDOW_BYTES).order(ByteOrder.LITTLE_ENDIAN).limit(0);
  private long windowEnd; // file position of the window's limit

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

  /** {@code what} names the number in messages. */
  int int32(String what) throws IOException {
    return next(Integer.BYTES, what).getInt();
  }

  long int64(String what) throws IOException {
    return next(Long.BYTES, what).getLong();
  }

  /** A length (8 bytes), then UTF-8; malformed input becomes replacement characters. */
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

  /** Refuses {@code count} (unsigned) items of at least {@code size} bytes that exceed the file. */
  void require(long count, int size, String what) {
    long left = fileBytes - position();
    if (count < 0 || count > left / size) {
      String number = Long.toUnsignedString(count);
      String bytes = count == 1 ? "" + size : size == 1 ? number : number + " times " + size;
      throw bad(
          "%s takes %s bytes, but only %s are left of the file%s",
          what, bytes, left, SavedFile.CUT_OFF);
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
