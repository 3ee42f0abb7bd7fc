package panamoe.comm;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;

/** The first failure of a world of threads; ends the waits of all its groups. Thread-safe. */
final class WorldFailure {
  private record Failure(String reason, Throwable cause) {}

  private final Duration timeout;
  private final AtomicReference<Failure> failure = new AtomicReference<>();
  private final List<ThreadBarrier> groups = new CopyOnWriteArrayList<>();

  WorldFailure(Duration timeout) {
    this.timeout = timeout;
  }

  Duration timeout() {
    return timeout;
  }

  void add(ThreadBarrier group) {
    groups.add(group);
    if (failed()) {
      group.wake();
    }
  }

  boolean failed() {
    return failure.get() != null;
  }

  /** Keeps the first failure; later ones are consequences. */
  void fail(String reason, Throwable cause) {
    if (failure.compareAndSet(null, new Failure(reason, cause))) {
      groups.forEach(ThreadBarrier::wake);
    }
  }

  /** A new exception with the calling thread's stack trace; requires a failure. */
  CommunicationException exception() {
    Failure first = failure.get();
    return new CommunicationException(first.reason, first.cause);
  }

  /**
   * The ranks to blame for the wait in {@code group}: those missing there or, if they wait in
   * another group, those missing in that group.
   */
  String blame(ThreadBarrier group) {
    Set<Integer> culprits = new TreeSet<>();
    Set<ThreadBarrier> seen = new HashSet<>(Set.of(group));
    Queue<ThreadBarrier> open = new ArrayDeque<>(seen);
    while (!open.isEmpty()) {
      for (int rank : open.remove().missing()) {
        List<ThreadBarrier> elsewhere =
            groups.stream().filter(other -> other.isWaiting(rank)).toList();
        if (elsewhere.isEmpty()) {
          culprits.add(rank);
        }
        elsewhere.stream().filter(seen::add).forEach(open::add);
      }
    }
    if (!culprits.isEmpty()) {
      return CollectiveMismatch.words(new ArrayList<>(culprits))
          + " did not come within "
          + timeout.toMillis() / 1e3
          + " s; "
          + group.waiting();
    }
    return seen.stream()
        .map(ThreadBarrier::waiting)
        .reduce((a, b) -> a + ", while " + b)
        .map(words -> words + ": they wait for each other")
        .orElseThrow();
  }
}
