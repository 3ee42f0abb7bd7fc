package panamoe.harness.serve;

import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * What the engine has for a connection to take. The engine never waits for a connection: one that
 * leaves the queue full for too long is cut off. Until then a full queue grows, by at most as many
 * events as the texts have tokens. Thread-safe.
 */
final class EventQueue {
  /** The number of events from which on a queue is full. */
  static final int FULL = 256;

  private static final long NOT_FULL = Long.MIN_VALUE;

  private final LinkedBlockingQueue<ChoiceEvent> events = new LinkedBlockingQueue<>();
  private volatile long fullSince = NOT_FULL;

  void put(ChoiceEvent event) {
    events.add(event);
    if (events.size() >= FULL && fullSince == NOT_FULL) {
      fullSince = System.nanoTime();
    }
  }

  /** Waits for the next event; null if none came in {@code wait}. */
  ChoiceEvent take(Duration wait) throws InterruptedException {
    ChoiceEvent event = events.poll(wait.toNanos(), TimeUnit.NANOSECONDS);
    if (events.size() < FULL) {
      fullSince = NOT_FULL;
    }
    return event;
  }

  boolean isEmpty() {
    return events.isEmpty();
  }

  /** Nanoseconds for which the queue has been full. */
  long fullFor() {
    long since = fullSince;
    return since == NOT_FULL ? 0 : System.nanoTime() - since;
  }
}
