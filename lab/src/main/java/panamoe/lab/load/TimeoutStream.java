package panamoe.lab.load;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/**
 * A response body with a read timeout, because the timeout of Java's HTTP client covers only
 * headers. Used by one thread.
 */
final class TimeoutStream extends FilterInputStream {
  private final Duration patience;
  private volatile boolean silent;

  /**
   * @param body its {@code close} must end a blocked read
   */
  TimeoutStream(InputStream body, Duration patience) {
    super(body);
    this.patience = patience;
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    ScheduledFuture<?> limit =
        ForkJoinPool.commonPool().schedule(this::giveUp, patience.toNanos(), TimeUnit.NANOSECONDS);
    try {
      int count = super.read(into, offset, length);
      if (!silent) {
        return count;
      }
    } catch (IOException e) {
      if (!silent) {
        throw e;
      }
    } finally {
      limit.cancel(false);
    }
    throw new IOException("nothing came for " + patience.toSeconds() + " s");
  }

  private void giveUp() {
    silent = true;
    try {
      close();
    } catch (IOException _) {
      // the read ends anyway
    }
  }
}
