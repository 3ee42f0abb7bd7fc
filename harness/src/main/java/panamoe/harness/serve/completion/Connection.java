package panamoe.harness.serve.completion;

import java.io.IOException;
import java.time.Duration;
import panamoe.harness.serve.http.ApiError;

/**
 * A connection with unfinished completions, which can be ended from outside: if its client does not
 * read, and when the server stops.
 */
public final class Connection {
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

  public EventQueue events() {
    return events;
  }

  @FunctionalInterface
  interface Sending {
    void send() throws IOException;
  }

  /** Writes, and measures how long the client takes to read. */
  void send(Sending sending) throws IOException {
    writingSince = System.nanoTime();
    try {
      sending.send();
    } finally {
      writingSince = NOT_WRITING;
    }
  }

  /** Closes the connection if its client has been too slow for {@code limit}. */
  void cutIfSlow(Duration limit) {
    long since = writingSince;
    long writing = since == NOT_WRITING ? 0 : System.nanoTime() - since;
    if (Math.max(writing, events.fullFor()) > limit.toNanos()) {
      slow = true;
      cut.run(); // a blocked write fails
    }
  }

  /** Whether it was closed because its client was too slow. */
  boolean slow() {
    return slow;
  }

  /** Replaces the rest of the response by an error. */
  void fail(ApiError error) {
    events.put(new ChoiceEvent.Failed(0, error));
  }
}
