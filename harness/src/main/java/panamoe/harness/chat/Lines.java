package panamoe.harness.chat;

import java.io.IOException;

/** Where a conversation's lines come from. Used by one thread. */
interface Lines extends AutoCloseable {
  /**
   * Waits for the next line.
   *
   * @return null at the end
   * @throws InterruptedException if this thread is interrupted
   * @throws IOException if they cannot be read
   */
  String next() throws InterruptedException, IOException;

  /** Sets what Ctrl-C does from now on until the next line is asked for. */
  void onInterrupt(Runnable cancel);

  @Override
  void close() throws IOException;
}
