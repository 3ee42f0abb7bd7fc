package panamoe.data;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * Cuts a document into passages while it is read: at the first end of a line after the wanted
 * number of bytes, or at a character where the line is very long.
 */
final class PassageReader implements Closeable {
  /** A long line is cut when it makes a passage this many times longer than intended. */
  private static final int LONG_LINE = 8;

  private static final int LONGEST_CHARACTER = 4;

  private final InputStream in;
  private final int wanted;
  // The longest passage, and a byte that shows whether the document goes on.
  private final byte[] buffer;
  private int held;

  PassageReader(InputStream in, int wanted) {
    this.in = in;
    this.wanted = wanted;
    this.buffer = new byte[wanted * LONG_LINE + 1];
  }

  /** The next passage; null after the last. */
  byte[] next() throws IOException {
    held += in.readNBytes(buffer, held, buffer.length - held);
    if (held == 0) {
      return null;
    }
    int to = border();
    byte[] passage = Arrays.copyOf(buffer, to);
    held -= to;
    System.arraycopy(buffer, to, buffer, 0, held);
    return passage;
  }

  /** Whether the document ends with the latest passage. */
  boolean ended() {
    return held == 0;
  }

  private int border() {
    int most = Math.min(held, buffer.length - 1);
    for (int to = Math.min(held, wanted); to < most; to++) {
      if (buffer[to - 1] == '\n') {
        return to;
      }
    }
    for (int to = most; to > most - LONGEST_CHARACTER && most < held; to--) {
      if ((buffer[to] & 0xc0) != 0x80) { // it is the first byte of a character
        return to;
      }
    }
    return most; // the end, or bytes that are not UTF-8
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
