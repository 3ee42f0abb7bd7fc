package panamoe.api.internal;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.SequencedSet;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/**
 * The lifetime of a device, or of a layer or model on it. It enforces one rule: one thread at a
 * time is inside a call of a device or of anything on it, and nothing is used after close. A
 * violation throws {@link IllegalStateException}; no call waits for another. Threads may call one
 * after the other.
 *
 * <p>Closing also closes everything created on it. It frees nothing while another thread is inside
 * a call.
 */
public final class Lifetime {
  static {
    // Initializes the classes for stack traces here, because doing so when a stack is about to
    // overflow would break them.
    isInside(Thread.currentThread(), Thread.currentThread());
  }

  // The thread inside a call; shared by a device and everything on it.
  private final AtomicReference<Use> user;
  private final Lifetime parent;
  private final String name;
  private final Runnable free;
  private final SequencedSet<Lifetime> children = new LinkedHashSet<>();
  private volatile boolean closed;

  /** A running call and its thread. */
  private record Use(Thread thread) {}

  private Lifetime(AtomicReference<Use> user, Lifetime parent, String name, Runnable free) {
    this.user = user;
    this.parent = parent;
    this.name = name;
    this.free = free;
  }

  /** Begins the lifetime of a device; {@code free} frees it. */
  public static Lifetime ofDevice(String name, Runnable free) {
    return new Lifetime(new AtomicReference<>(), null, name, free);
  }

  /**
   * Begins the lifetime of something created on this. Call it inside {@link #use}.
   *
   * @param name in messages, such as "the layer"
   * @param free frees everything or, if it throws, nothing
   */
  public Lifetime begin(String name, Runnable free) {
    Lifetime child = new Lifetime(user, this, name, free);
    children.add(child);
    return child;
  }

  /**
   * Runs a call as the device's only user and translates the runtime's exceptions to {@link
   * panamoe.api.PanamoeException}s.
   *
   * @throws IllegalStateException if this is closed, or a call of the device is running
   */
  public <T> T use(Supplier<T> call) {
    Use mine = enter();
    try {
      requireOpen();
      return Failures.translating(call);
    } finally {
      user.compareAndSet(mine, null);
    }
  }

  /** {@link #use} for a call without a result. */
  public void run(Runnable call) {
    use(
        () -> {
          call.run();
          return null;
        });
  }

  /**
   * Closes this and everything created on it. Idempotent.
   *
   * @throws IllegalStateException if a call of the device is running, or a native call of the
   *     caller uses a parameter's memory; a layer or model then stays open, while some of a
   *     device's may be closed
   */
  public void close() {
    if (closed) {
      return;
    }
    Use mine = enter();
    try {
      Failures.translating(this::end);
    } finally {
      user.compareAndSet(mine, null);
    }
  }

  private Void end() {
    boolean device = parent == null;
    if (device) {
      endChildren(); // their memory belongs to the device
    }
    if (!closed) { // else one of its children could not be freed before
      free.run(); // may throw before it frees anything of a layer
      closed = true;
    }
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
      expected = found; // left by a stack overflow, or cleared meanwhile
      found = user.compareAndExchange(expected, mine);
    }
    return mine;
  }

  /**
   * Whether the thread is inside a call. A thread whose stack overflowed while it left a call still
   * holds the mark, but is not inside.
   */
  private static boolean isInside(Thread thread, Thread caller) {
    long calls =
        Arrays.stream(thread.getStackTrace())
            .filter(frame -> frame.getClassName().equals(Lifetime.class.getName()))
            .filter(
                frame ->
                    frame.getMethodName().equals("use") || frame.getMethodName().equals("close"))
            .count();
    return calls > (thread == caller ? 1 : 0); // the calling thread's stack includes this call
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
