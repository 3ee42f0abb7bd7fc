package panamoe.data;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * Cuts a document into passages while reading: at the first end of a line after the intended number
 * of bytes, or at a character if the line is very long.
 */
final class PassageReader implements Closeable {
  /** A long line is cut when it makes a passage this many times longer than intended. */
  private static final int LONG_LINE = 8;

  private static final int LONGEST_CHARACTER = 4;

  private final InputStream in;
  private final int wanted;
  // Room for the longest passage and one byte, which shows whether the document continues.
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

  /** Whether the latest passage ends the document. */
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
      if ((buffer[to] & 0xc0) != 0x80) { // the first byte of a character
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
