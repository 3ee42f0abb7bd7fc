package panamoe.api;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.SequencedSet;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/**
 * The life of a device, or of something that was made on it, and the rule for all who use them: one
 * thread at a time is inside a call of a device or of anything on it, and nothing is used once it
 * is closed. Who breaks the rule gets an {@link IllegalStateException}; no call waits for another.
 * Every thread may call, one after the other.
 *
 * <p>Closing also closes what was made on it. It frees nothing while another thread is inside a
 * call.
 */
final class Lifetime {
  static {
    // The classes of a stack trace are initialized here, not where a stack is about to overflow.
    isInside(Thread.currentThread(), Thread.currentThread());
  }

  // Who is inside a call; one for a device and all that was made on it.
  private final AtomicReference<Use> user;
  private final Lifetime parent;
  private final String name;
  private final Runnable free;
  private final SequencedSet<Lifetime> children = new LinkedHashSet<>();
  private volatile boolean closed;

  /** One call of a device, by the thread that is inside it. */
  private record Use(Thread thread) {}

  private Lifetime(AtomicReference<Use> user, Lifetime parent, String name, Runnable free) {
    this.user = user;
    this.parent = parent;
    this.name = name;
    this.free = free;
  }

  /** The life of a device, which {@code free} ends. */
  static Lifetime ofDevice(String name, Runnable free) {
    return new Lifetime(new AtomicReference<>(), null, name, free);
  }

  /**
   * Begins the life of something made on this; called inside {@link #use}.
   *
   * @param name as in messages, e.g. "the layer"
   * @param free frees everything or, if it refuses, nothing
   */
  Lifetime begin(String name, Runnable free) {
    Lifetime child = new Lifetime(user, this, name, free);
    children.add(child);
    return child;
  }

  /**
   * Runs a call as the device's one user, with the runtime's exceptions as {@link
   * PanamoeException}s.
   *
   * @throws IllegalStateException if this is closed, or a call of the device is under way
   */
  <T> T use(Supplier<T> call) {
    Use mine = enter();
    try {
      requireOpen();
      return PanamoeException.translating(call);
    } finally {
      user.compareAndSet(mine, null);
    }
  }

  /** {@link #use} for a call without a result. */
  void run(Runnable call) {
    use(
        () -> {
          call.run();
          return null;
        });
  }

  /**
   * Ends this life and those that began on it. Idempotent.
   *
   * @throws IllegalStateException if a call of the device is under way, or a native call of the
   *     caller's own has the memory of a parameter; a layer or a model is as open as before then,
   *     of a device's some may be closed
   */
  void close() {
    if (closed) {
      return;
    }
    Use mine = enter();
    try {
      PanamoeException.translating(this::end);
    } finally {
      user.compareAndSet(mine, null);
    }
  }

  private Void end() {
    boolean device = parent == null;
    if (device) {
      endChildren(); // whose memory is the device's
    }
    free.run(); // may refuse, before anything of a layer is freed
    closed = true;
    endChildren();
    if (!device) {
      parent.children.remove(this);
    }
    return null;
  }

  private void endChildren() {
    while (!children.isEmpty()) {
      children.getLast().end();
    }
  }

  private Use enter() {
    Use mine = new Use(Thread.currentThread());
    Use expected = null;
    Use found = user.compareAndExchange(null, mine);
    while (found != expected) {
      if (found != null && isInside(found.thread(), mine.thread())) {
        throw refusal(found.thread(), mine.thread());
      }
      expected = found; // left behind by a stack overflow, or gone by now
      found = user.compareAndExchange(expected, mine);
    }
    return mine;
  }

  /**
   * Whether the thread is in a call. One whose stack overflowed as it left a call is not, though it
   * still holds it.
   */
  private static boolean isInside(Thread thread, Thread caller) {
    long calls =
        Arrays.stream(thread.getStackTrace())
            .filter(frame -> frame.getClassName().equals(Lifetime.class.getName()))
            .filter(
                frame ->
                    frame.getMethodName().equals("use") || frame.getMethodName().equals("close"))
            .count();
    return calls > (thread == caller ? 1 : 0); // the caller's own is one of them
  }

  private IllegalStateException refusal(Thread inside, Thread caller) {
    return new IllegalStateException(
        inside == caller
            ? name
                + " is in use by this thread: a callback may not call the device whose call it runs in"
            : name
                + " is in use by "
                + describe(inside)
                + ": a device and all that was made on it serve one thread at"
                + " a time; open a device for each thread, or let one thread wait for the other");
  }

  private void requireOpen() {
    for (Lifetime life = this; life != null; life = life.parent) {
      if (life.closed) {
        throw new IllegalStateException(life.name + " is closed");
      }
    }
  }

  private static String describe(Thread thread) {
    return (thread.isVirtual() ? "virtual thread " : "thread ")
        + (thread.getName().isEmpty() ? "#" + thread.threadId() : thread.getName());
  }
}
