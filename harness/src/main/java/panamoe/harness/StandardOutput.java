package panamoe.harness;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The standard output with errors, such as a full disk or a closed pipe, which {@link System#out}
 * hides. Used by one thread at a time.
 */
final class StandardOutput extends FilterOutputStream {
  /** The exit code of a program that SIGPIPE ends. */
  static final int READER_GONE = 141;

  private static final Path ITSELF = Path.of("/proc/self/fd/1");
  private static final int FORMAT = 0170000; // S_IFMT of stat(2)
  private static final int FIFO = 0010000;
  private static final int SOCKET = 0140000;

  private volatile boolean readerGone;

  StandardOutput() {
    super(new FileOutputStream(FileDescriptor.out));
  }

  /** Whether a write failed because the reader has gone, as with {@code | head}. */
  boolean readerGone() {
    return readerGone;
  }

  @Override
  public void write(byte[] bytes, int from, int count) throws IOException {
    try {
      out.write(bytes, from, count);
    } catch (IOException e) {
      readerGone = isPipe();
      throw e;
    }
  }

  private static boolean isPipe() throws IOException {
    int format = (int) Files.getAttribute(ITSELF, "unix:mode") & FORMAT;
    return format == FIFO || format == SOCKET;
  }
}
