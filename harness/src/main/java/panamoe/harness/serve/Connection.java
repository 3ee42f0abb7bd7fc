package panamoe.harness.serve;

import java.io.IOException;
import java.time.Duration;

/**
 * A connection that waits for texts, as those see it who may end it: a client that takes nothing,
 * and the server when it stops.
 */
final class Connection {
  private static final long NOT_WRITING = Long.MIN_VALUE;

  private final Runnable cut;
  private final EventQueue events = new EventQueue();
  private volatile long writingSince = NOT_WRITING;
  private volatile boolean slow;

  /**
   * @param cut closes the connection
   */
  Connection(Runnable cut) {
    this.cut = cut;
  }

  EventQueue events() {
    return events;
  }

  /** Sends something to the client. */
  @FunctionalInterface
  interface Sending {
    void send() throws IOException;
  }

  /** Sends for as long as the client takes it. */
  void send(Sending sending) throws IOException {
    writingSince = System.nanoTime();
    try {
      sending.send();
    } finally {
      writingSince = NOT_WRITING;
    }
  }

  /** Closes the connection if its client has been too slow for so long. */
  void cutIfSlow(Duration limit) {
    long since = writingSince;
    long writing = since == NOT_WRITING ? 0 : System.nanoTime() - since;
    if (Math.max(writing, events.fullFor()) > limit.toNanos()) {
      slow = true;
      cut.run(); // a write that waits for the client fails
    }
  }

  /** Whether it was closed because its client was too slow. */
  boolean slow() {
    return slow;
  }

  /** Answers with an error instead of what is left of the texts. */
  void fail(ApiError error) {
    events.put(new ChoiceEvent.Failed(0, error));
  }
}
