package panamoe.comm.message;

import java.time.Duration;
import panamoe.comm.Heartbeat;

/** What the groups of one world share. Thread-safe. */
public interface MessageWorld {
  /** How long a rank waits for a late one before the world fails. */
  Duration timeout();

  Heartbeat lifeline();

  boolean isClosed();

  /** Whether messages may still arrive in a caller's memory after the world has failed. */
  boolean writesAfterFailure();

  /**
   * Ends the world together with the others. Waits for ranks that are alive and not done; after a
   * failure it does not wait. Idempotent.
   *
   * @throws panamoe.comm.CommunicationException if the world fails meanwhile
   */
  void close();
}
