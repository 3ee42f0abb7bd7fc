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

/** The first failure of a world of threads, and the groups that must hear of it. Thread-safe. */
final class Liveness {
  private record Failure(String reason, Throwable cause) {}

  private final Duration timeout;
  private final AtomicReference<Failure> failure = new AtomicReference<>();
  private final List<Rendezvous> groups = new CopyOnWriteArrayList<>();

  Liveness(Duration timeout) {
    this.timeout = timeout;
  }

  /** How long a member waits for the others. */
  Duration timeout() {
    return timeout;
  }

  void add(Rendezvous group) {
    groups.add(group);
    if (failed()) {
      group.wake();
    }
  }

  boolean failed() {
    return failure.get() != null;
  }

  /** Only the first failure counts: the later ones follow from it. */
  void fail(String reason, Throwable cause) {
    if (failure.compareAndSet(null, new Failure(reason, cause))) {
      groups.forEach(Rendezvous::wake);
    }
  }

  /**
   * A fresh exception, so that its stack is that of the thread that throws it; only after a
   * failure.
   */
  CommunicationException exception() {
    Failure first = failure.get();
    return new CommunicationException(first.reason, first.cause);
  }

  /**
   * Who keeps the members of {@code group} waiting: the ranks that are missing there, or, where
   * those wait elsewhere, the ranks missing there.
   */
  String blame(Rendezvous group) {
    Set<Integer> culprits = new TreeSet<>();
    Set<Rendezvous> seen = new HashSet<>(Set.of(group));
    Queue<Rendezvous> open = new ArrayDeque<>(seen);
    while (!open.isEmpty()) {
      for (int rank : open.remove().missing()) {
        List<Rendezvous> elsewhere =
            groups.stream().filter(other -> other.isWaiting(rank)).toList();
        if (elsewhere.isEmpty()) {
          culprits.add(rank);
        }
        elsewhere.stream().filter(seen::add).forEach(open::add);
      }
    }
    if (!culprits.isEmpty()) {
      return Call.words(new ArrayList<>(culprits))
          + " did not come within "
          + timeout.toMillis() / 1e3
          + " s; "
          + group.waiting();
    }
    return seen.stream()
        .map(Rendezvous::waiting)
        .reduce((a, b) -> a + ", while " + b)
        .map(words -> words + ": they wait for each other")
        .orElseThrow();
  }
}
