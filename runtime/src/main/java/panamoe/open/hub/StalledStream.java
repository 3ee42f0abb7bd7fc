package panamoe.open.hub;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;

/** An answer that ends early if nothing comes for some time: a lost connection may be silent. */
final class StalledStream extends FilterInputStream {
  private final Thread watch;
  private volatile long reads;

  StalledStream(InputStream in, Duration most) {
    super(in);
    this.watch = Thread.startVirtualThread(() -> watch(most));
  }

  private void watch(Duration most) {
    try {
      for (long before = -1; before != reads; ) {
        before = reads;
        Thread.sleep(most);
      }
      in.close(); // which wakes the reader
    } catch (InterruptedException | IOException _) {
      // it was closed
    }
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    int read = in.read(into, offset, length);
    reads++; // by the one reader
    return read;
  }

  @Override
  public void close() throws IOException {
    watch.interrupt();
    in.close();
  }
}
