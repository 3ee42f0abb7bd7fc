package panamoe.harness.chat;

import java.io.BufferedReader;
import java.io.IOException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Lines of a file or a pipe, read by a separate thread, because reads cannot be interrupted. */
final class PipedLines implements Lines {
  /**
   * A line or the end.
   *
   * @param line null at the end
   * @param failure null for none
   */
  private record Read(String line, IOException failure) {}

  private final BlockingQueue<Read> read = new LinkedBlockingQueue<>(1);

  PipedLines(BufferedReader in) {
    Thread.ofPlatform().daemon().name("lines").start(() -> readAll(in));
  }

  private void readAll(BufferedReader in) {
    try {
      Read next;
      do {
        try {
          next = new Read(in.readLine(), null);
        } catch (IOException e) {
          next = new Read(null, e);
        }
        read.put(next);
      } while (next.line() != null);
    } catch (InterruptedException _) {
      // the conversation is over
    }
  }

  @Override
  public String next() throws InterruptedException, IOException {
    Read next = read.take();
    if (next.failure() != null) {
      throw next.failure();
    }
    return next.line();
  }

  @Override
  public int columns() {
    return 0;
  }

  /** Ctrl-C ends the program. */
  @Override
  public void onInterrupt(Runnable cancel) {}

  @Override
  public void close() {}
}
