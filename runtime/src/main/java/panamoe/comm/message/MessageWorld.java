package panamoe.comm.message;

import java.time.Duration;
import panamoe.comm.Heartbeat;

/** The state that the groups of one world share. Thread-safe. */
public interface MessageWorld {
  /** How long a rank waits for another before the world fails. */
  Duration timeout();

  Heartbeat heartbeat();

  boolean isClosed();

  /** Whether messages may still arrive in a caller's memory after the world has failed. */
  boolean writesAfterFailure();

  /**
   * Ends the world together with the other ranks: waits for those that are still working, but not
   * after a failure. Idempotent.
   *
   * @throws panamoe.comm.CommunicationException if the world fails meanwhile
   */
  void close();
}
