package panamoe.text;

import java.util.ArrayDeque;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.Flow;

/**
 * The pieces of a completion on their way from the engine's thread, which never waits, to one
 * reader: a subscriber, or a thread that takes them. At most one piece for each token waits here.
 */
final class PieceQueue implements Flow.Publisher<TextPiece> {
  private final Runnable onCancel;
  private final Queue<TextPiece> pieces = new ArrayDeque<>();
  private Flow.Subscriber<? super TextPiece> subscriber; // null until there is one
  private boolean taken; // by a thread
  private long demand;
  private boolean calling; // a thread calls the subscriber, one at a time
  private boolean ended;
  private boolean left; // the subscriber gets nothing more
  private Throwable failure;
  private Throwable wrong; // what the subscriber did; null for nothing

  /**
   * @param onCancel called when the subscriber cancels or fails
   */
  PieceQueue(Runnable onCancel) {
    this.onCancel = onCancel;
  }

  synchronized void put(TextPiece piece) {
    if (!left) {
      pieces.add(piece);
      signal();
    }
  }

  /**
   * @param cause null if the completion ended normally
   */
  synchronized void end(Throwable cause) {
    failure = cause;
    ended = true;
    signal();
  }

  private void signal() {
    notifyAll();
    if (subscriber != null && !calling && due()) {
      calling = true;
      Thread.startVirtualThread(this::call);
    }
  }

  /** Whether {@link #next} has a call for the subscriber. */
  private boolean due() {
    return !left && (wrong != null || (pieces.isEmpty() ? ended : demand > 0));
  }

  /** Waits for the next piece; empty at the end. */
  synchronized Optional<TextPiece> take() throws InterruptedException {
    if (subscriber != null) {
      throw new IllegalStateException("a subscriber gets the pieces");
    }
    taken = true;
    while (pieces.isEmpty() && !ended) {
      wait();
    }
    return Optional.ofNullable(pieces.poll());
  }

  @Override
  public void subscribe(Flow.Subscriber<? super TextPiece> next) {
    if (next == null) {
      throw new NullPointerException("the subscriber is null");
    }
    boolean first;
    synchronized (this) {
      first = subscriber == null && !taken;
      if (first) {
        subscriber = next;
        calling = true; // onSubscribe comes before everything else
      }
    }
    if (!first) {
      next.onSubscribe(new Nothing());
      next.onError(new IllegalStateException("the pieces of a completion have one reader"));
      return;
    }
    try {
      next.onSubscribe(new Demand());
    } catch (RuntimeException | Error e) {
      leave();
    }
    call();
  }

  /** Calls the subscriber as long as it wants what there is. */
  private void call() {
    try {
      for (Runnable next = next(); next != null; next = next()) {
        next.run();
      }
    } catch (RuntimeException | Error e) { // of the subscriber
      leave();
      synchronized (this) {
        calling = false;
      }
    }
  }

  /** The next call of the subscriber; null if it has to wait. */
  private synchronized Runnable next() {
    if (!left && wrong != null) {
      left = true;
      pieces.clear();
      return () -> subscriber.onError(wrong);
    }
    if (!left && demand > 0 && !pieces.isEmpty()) {
      TextPiece piece = pieces.remove();
      demand -= demand == Long.MAX_VALUE ? 0 : 1;
      return () -> subscriber.onNext(piece);
    }
    if (!left && ended && pieces.isEmpty()) {
      left = true;
      return failure == null ? subscriber::onComplete : () -> subscriber.onError(failure);
    }
    calling = false;
    return null;
  }

  private void leave() {
    synchronized (this) {
      left = true;
      pieces.clear();
    }
    onCancel.run();
  }

  private final class Demand implements Flow.Subscription {
    @Override
    public void request(long count) {
      synchronized (PieceQueue.this) {
        if (left) {
          return;
        }
        if (count > 0) {
          demand = demand + count < 0 ? Long.MAX_VALUE : demand + count;
          signal();
          return;
        }
        wrong = new IllegalArgumentException(count + " pieces are requested, expected 1 or more");
        signal();
      }
      onCancel.run();
    }

    @Override
    public void cancel() {
      synchronized (PieceQueue.this) {
        if (left) {
          return;
        }
      }
      leave();
    }
  }

  /** Of a second subscriber. */
  private static final class Nothing implements Flow.Subscription {
    @Override
    public void request(long count) {}

    @Override
    public void cancel() {}
  }
}
