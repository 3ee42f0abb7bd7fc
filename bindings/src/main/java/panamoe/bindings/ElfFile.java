package panamoe.bindings;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/**
 * Checks a shared library's file before it is loaded. The system's loader maps the segments that
 * the header lists and accesses them; if the file is truncated (an incomplete copy, a full disk),
 * that kills the process.
 */
final class ElfFile {
  private static final int MAGIC = 0x464c457f; // 0x7f, "ELF"
  private static final int HEADER_BYTES = 64;
  private static final int SEGMENT_BYTES = 56;

  private ElfFile() {}

  /**
   * Returns if the file holds all segments that its header lists. A file that is not 64-bit ELF
   * passes: the loader will refuse it.
   *
   * @throws UnsatisfiedLinkError if the file is shorter
   */
  static void requireWhole(Path file) {
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer header = read(channel, 0, HEADER_BYTES);
      if (header.remaining() >= 5 && (header.getInt(0) != MAGIC || header.get(4) != 2)) {
        return;
      }
      boolean whole = header.remaining() == HEADER_BYTES;
      int segments = whole ? header.getShort(0x38) & 0xffff : 0;
      for (int i = 0; whole && i < segments; i++) {
        ByteBuffer segment =
            read(channel, header.getLong(0x20) + (long) i * SEGMENT_BYTES, SEGMENT_BYTES);
        whole =
            segment.remaining() == SEGMENT_BYTES
                && segment.getLong(8) + segment.getLong(0x20) <= channel.size();
      }
      if (!whole) {
        throw new UnsatisfiedLinkError(
            "cannot load " + file + ": the file was cut short; copy or build it again");
      }
    } catch (IOException e) {
      throw SharedObject.unsatisfied("cannot read " + file + ": " + e.getMessage(), e);
    }
  }

  /** Reads {@code bytes} bytes at {@code position}, fewer at the file's end. */
  private static ByteBuffer read(FileChannel channel, long position, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining() && channel.read(buffer, position + buffer.position()) > 0) {}
    return buffer.flip();
  }
}
