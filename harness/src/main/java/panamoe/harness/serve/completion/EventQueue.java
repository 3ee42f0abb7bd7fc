package panamoe.harness.serve.completion;

import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The engine's events for a connection. The engine never waits for a connection: one whose queue is
 * full for too long is closed. Until then the queue grows, by at most one event per token.
 * Thread-safe.
 */
public final class EventQueue {
  /** The number of events from which a queue counts as full. */
  static final int FULL = 256;

  private static final long NOT_FULL = Long.MIN_VALUE;

  private final LinkedBlockingQueue<ChoiceEvent> events = new LinkedBlockingQueue<>();
  private volatile long fullSince = NOT_FULL;

  public void put(ChoiceEvent event) {
    events.add(event);
    if (events.size() >= FULL && fullSince == NOT_FULL) {
      fullSince = System.nanoTime();
    }
  }

  /** Waits for the next event; null if none came within {@code wait}. */
  public ChoiceEvent take(Duration wait) throws InterruptedException {
    ChoiceEvent event = events.poll(wait.toNanos(), TimeUnit.NANOSECONDS);
    if (events.size() < FULL) {
      fullSince = NOT_FULL;
    }
    return event;
  }

  boolean isEmpty() {
    return events.isEmpty();
  }

  /** For how many nanoseconds the queue has been full. */
  long fullFor() {
    long since = fullSince;
    return since == NOT_FULL ? 0 : System.nanoTime() - since;
  }
}
