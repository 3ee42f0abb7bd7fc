package panamoe.api.internal;

import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.SequencedSet;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import panamoe.io.Words;

/**
 * The lifetime of a device, or of a layer or model on it. It enforces one rule: one thread at a
 * time is inside a call of a device or of anything on it, and nothing is used after close. A
 * violation throws {@link IllegalStateException}. Only {@link #closeWhenIdle} waits for another
 * call. Different threads may call in sequence. Steps of Panamoe's own threads, {@link #turn}, go
 * between the calls: these wait for a step, and are not refused.
 *
 * <p>Closing also closes everything created on it. It frees nothing while another thread is inside
 * a call.
 */
public final class Lifetime {
  private static final long LONGEST_WAIT = TimeUnit.MILLISECONDS.toNanos(100);

  private final Gate gate;
  private final Lifetime parent;
  private final String name;
  private final Runnable free;
  private final SequencedSet<Lifetime> children = new LinkedHashSet<>();
  private Thread closer; // that closes this, or waits to; guarded by the gate
  private volatile boolean closed;

  /**
   * Shared by a device and everything on it: a monitor and a field. A thread whose stack overflowed
   * still leaves a call, because setting a field needs no stack, unlike a method call.
   */
  private static final class Gate {
    private Thread user; // the thread inside a call
    private boolean stepping; // the user is inside a step
    private int waiting; // callers that wait for the end of a step
  }

  private Lifetime(Gate gate, Lifetime parent, String name, Runnable free) {
    this.gate = gate;
    this.parent = parent;
    this.name = name;
    this.free = free;
  }

  /** Begins the lifetime of a device; {@code free} frees it. */
  public static Lifetime ofDevice(String name, Runnable free) {
    return new Lifetime(new Gate(), null, name, free);
  }

  /**
   * Begins the lifetime of an object on this one. Call it inside {@link #use}.
   *
   * @param name for messages, such as "the layer"
   * @param free frees everything or, if it throws, nothing
   */
  public Lifetime begin(String name, Runnable free) {
    Lifetime child = new Lifetime(gate, this, name, free);
    children.add(child);
    return child;
  }

  /**
   * Runs a call as the device's only user and translates the runtime's exceptions to {@link
   * panamoe.api.PanamoeException}s.
   *
   * @throws IllegalStateException if this is closed or being closed, or a call of the device is
   *     running
   */
  public <T> T use(Supplier<T> call) {
    enter();
    try {
      requireOpen();
      return Failures.translating(call);
    } finally {
      synchronized (gate) {
        gate.user = null;
        gate.notifyAll();
      }
    }
  }

  /**
   * Runs a step of a thread that serves several callers, when no call is running or waits. Within a
   * call of the same thread it runs at once.
   *
   * @throws IllegalStateException if this is closed
   */
  public void turn(Runnable step) {
    Thread own = Thread.currentThread();
    boolean nested;
    synchronized (gate) {
      nested = gate.user == own;
      if (!nested) {
        waitWhile(() -> gate.user != null || gate.waiting > 0);
        gate.user = own;
        gate.stepping = true;
      }
    }
    try {
      requireOpen();
      step.run();
    } finally {
      if (!nested) {
        synchronized (gate) {
          gate.user = null;
          gate.stepping = false;
          gate.notifyAll();
        }
      }
    }
  }

  /**
   * Refuses to wait for steps inside a call, which would wait for itself.
   *
   * @throws IllegalStateException if this thread is inside a call of the device
   */
  public void requireOutside() {
    synchronized (gate) {
      if (gate.user == Thread.currentThread()) {
        throw refusal(gate.user, gate.user);
      }
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
   * Closes this and everything created on it. Idempotent; returns at once if another thread is
   * closing it.
   *
   * @throws IllegalStateException if a call of the device is running, or a native call of the
   *     caller uses a parameter's memory; a layer or model then stays open, while parts of a device
   *     may be closed
   */
  public void close() {
    closeWhenIdle(Duration.ZERO);
  }

  /**
   * Closes after the running call has returned. Other threads' calls are refused meanwhile.
   *
   * @throws IllegalStateException like {@link #close()}, if the call still runs after {@code
   *     patience} or this thread is interrupted; its interrupt status stays set
   */
  public void closeWhenIdle(Duration patience) {
    Failures.translating(() -> Argument.notNull("patience", patience));
    Thread caller = Thread.currentThread();
    boolean inside = false;
    try {
      inside = !closed && enterToClose(caller, patience);
      if (inside) {
        Failures.translating(this::end);
      }
    } finally {
      synchronized (gate) {
        if (closer == caller) {
          closer = null;
        }
        if (inside) {
          gate.user = null;
        }
        gate.notifyAll();
      }
    }
  }

  private Void end() {
    boolean device = parent == null;
    if (device) {
      endChildren(); // their memory belongs to the device
    }
    if (!closed) { // otherwise only a child could not be freed before
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

  private void enter() {
    synchronized (gate) {
      Thread caller = Thread.currentThread();
      requireNotClosing(caller);
      if (gate.stepping && gate.user != caller) {
        gate.waiting++;
        try {
          waitWhile(() -> gate.stepping);
        } finally {
          gate.waiting--;
        }
        requireNotClosing(caller);
      }
      if (gate.user != null) {
        throw refusal(gate.user, caller);
      }
      gate.user = caller;
    }
  }

  private void requireNotClosing(Thread caller) {
    for (Lifetime life = this; life != null; life = life.parent) {
      if (life.closer != null && life.closer != caller) {
        throw new IllegalStateException(life.name + " is being closed by " + describe(life.closer));
      }
    }
  }

  /** Waits at the gate. An interrupt does not end the wait; the interrupt status stays set. */
  private void waitWhile(BooleanSupplier closed) {
    boolean interrupted = false;
    while (closed.getAsBoolean()) {
      try {
        TimeUnit.NANOSECONDS.timedWait(gate, LONGEST_WAIT);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Enters when no call is running; returns false if another thread is closing this. */
  private boolean enterToClose(Thread caller, Duration patience) {
    long end = System.nanoTime() + TimeUnit.NANOSECONDS.convert(patience);
    synchronized (gate) {
      gate.waiting++; // no step begins
      try {
        if (gate.stepping && gate.user != caller) {
          closer = caller; // other calls are refused from now on
          waitWhile(() -> gate.stepping);
        }
        while (gate.user != null) {
          if (gate.user != caller && isClosedBy(gate.user)) {
            return false;
          }
          long left = end - System.nanoTime();
          if (gate.user == caller || left <= 0 || caller.isInterrupted()) {
            throw gate.user == caller || patience.isZero()
                ? refusal(gate.user, caller)
                : stillInUse(patience);
          }
          closer = caller;
          try {
            // In rounds: a thread whose stack overflowed may have left without a signal.
            TimeUnit.NANOSECONDS.timedWait(gate, Math.min(left, LONGEST_WAIT));
          } catch (InterruptedException e) {
            caller.interrupt();
          }
        }
        closer = caller;
        gate.user = caller;
      } finally {
        gate.waiting--;
      }
    }
    return true;
  }

  private boolean isClosedBy(Thread thread) {
    return closer == thread || parent != null && parent.isClosedBy(thread);
  }

  private IllegalStateException refusal(Thread inside, Thread caller) {
    String pattern =
        inside == caller
            ? "%s is in use by this thread: a callback may not call the device whose call it runs in"
            : "%s is in use by %s: a device and all that was made on it serve one thread at a time;"
                + " open a device for each thread, or let one thread wait for the other";
    return new IllegalStateException(Words.of(pattern, name, describe(inside)));
  }

  private IllegalStateException stillInUse(Duration patience) {
    return new IllegalStateException(
        name + " is still in use by " + describe(gate.user) + " after " + patience);
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
