package panamoe.harness.chat;

import java.io.IOException;

/** A source of a conversation's lines. Used by one thread. */
interface Lines extends AutoCloseable {
  /**
   * Waits for the next line.
   *
   * @return null at the end
   * @throws InterruptedException if this thread is interrupted
   * @throws IOException if reading fails
   */
  String next() throws InterruptedException, IOException;

  /** The columns of the terminal now; 0 without one. */
  int columns();

  /** Sets what Ctrl-C does until the next line is read. */
  void onInterrupt(Runnable cancel);

  @Override
  void close() throws IOException;
}
