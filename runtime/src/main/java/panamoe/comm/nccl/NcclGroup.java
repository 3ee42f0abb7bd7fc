package panamoe.comm.nccl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.IntSupplier;
import panamoe.bindings.nccl.Nccl;
import panamoe.bindings.nccl.NcclLibrary;
import panamoe.bindings.nccl.ncclConfig_v23000;
import panamoe.bindings.nccl.ncclUniqueId;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.io.Words;

/**
 * One non-blocking ncclComm_t: every wait polls the communicator's asynchronous error and the
 * clock. After a failure the ncclComm_t is aborted and must not be used any more. One thread at a
 * time calls and waits; any thread may {@link #stop}.
 */
final class NcclGroup {
  // The oldest version of the config struct that has `blocking`; every NCCL since 2.14 accepts it.
  private static final int CONFIG_BYTES = 24;
  private static final int CONFIG_VERSION = 21400;
  private static final int MAGIC = 0xcafebeef;
  private static final int EAGER_TESTS = 1000;
  private static final long YIELDING_NANOS = 20_000_000;
  private static final long SLEEP_NANOS = 50_000;
  private static final VarHandle HANDLE = ValueLayout.ADDRESS.varHandle();

  private final MemorySegment handle;
  private final Communicator control;
  private final Duration timeout;
  private volatile String stopped;
  private boolean over;

  private NcclGroup(MemorySegment handle, Communicator control, Duration timeout) {
    this.handle = handle;
    this.control = control;
    this.timeout = timeout;
  }

  /**
   * Collective over the members of {@code control}, which carries the unique id from its rank 0.
   */
  static NcclGroup open(Communicator control, Duration timeout) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment id = ncclUniqueId.allocate(arena);
      byte[] bytes = null;
      if (control.rank() == 0) {
        check(Nccl.ncclGetUniqueId(id), "ncclGetUniqueId", MemorySegment.NULL);
        bytes = id.toArray(ValueLayout.JAVA_BYTE);
      }
      id.copyFrom(MemorySegment.ofArray(control.broadcast(bytes, 0)));
      MemorySegment handle = arena.allocate(ValueLayout.ADDRESS);
      check(
          Nccl.ncclCommInitRankConfig(handle, control.size(), id, control.rank(), config(arena)),
          "ncclCommInitRankConfig",
          MemorySegment.NULL);
      return made(stored(handle), control, timeout, "ncclCommInitRankConfig");
    }
  }

  /** Collective; {@code childControl} has the same color, key and members. */
  NcclGroup split(int color, int key, Communicator childControl) {
    // Never freed: a thread of NCCL may store the child here after this call has timed out.
    MemorySegment child = Arena.global().allocate(ValueLayout.ADDRESS);
    String function = "ncclCommSplit";
    call(
        function,
        () -> {
          try (Arena arena = Arena.ofConfined()) {
            return Nccl.ncclCommSplit(handle, color, key, child, config(arena));
          }
        },
        () -> stored(child).address() != 0);
    return made(stored(child), childControl, timeout, function);
  }

  MemorySegment handle() {
    return handle;
  }

  int rank() {
    return control.rank();
  }

  int size() {
    return control.size();
  }

  /**
   * Enqueues work by a call of NCCL and waits until NCCL has enqueued it.
   *
   * @throws CommunicationException if NCCL refuses it, or the group has failed
   */
  void call(String function, IntSupplier call) {
    call(function, call, () -> true);
  }

  private void call(String function, IntSupplier call, BooleanSupplier finished) {
    requireOpen();
    int result = call.getAsInt();
    if (!served(result)) {
      throw fail(function + " failed: " + NcclLibrary.errorString(result, handle));
    }
    await(function, finished);
  }

  /** Ends all waits of this member. Any thread may call it. */
  void stop(String reason) {
    stopped = reason;
  }

  void close() {
    if (!over) {
      call("ncclCommFinalize", () -> Nccl.ncclCommFinalize(handle));
      over = true;
      Nccl.ncclCommDestroy(handle);
    }
  }

  private static NcclGroup made(
      MemorySegment handle, Communicator control, Duration timeout, String function) {
    NcclGroup group = new NcclGroup(handle, control, timeout);
    group.await(function, () -> true);
    return group;
  }

  /**
   * Waits until NCCL reports no operation in progress, and {@code finished} is true.
   *
   * @throws CommunicationException if NCCL fails, or does not end in time
   */
  void await(String function, BooleanSupplier finished) {
    long start = System.nanoTime();
    for (int tests = 0; !requireHealthy(function) || !finished.getAsBoolean(); tests++) {
      if (stopped != null) {
        throw fail(stopped);
      }
      String lost = control.failure(); // a lost rank's work never ends
      if (lost != null) {
        throw fail(lost);
      }
      long waited = System.nanoTime() - start;
      if (waited > timeout.toNanos()) {
        throw fail(function + " did not end within " + timeout.toMillis() / 1e3 + " s");
      }
      if (Thread.currentThread().isInterrupted()) {
        throw fail("interrupted in " + function);
      }
      if (tests < EAGER_TESTS) {
        Thread.onSpinWait();
      } else if (waited < YIELDING_NANOS) {
        Thread.yield();
      } else {
        LockSupport.parkNanos(SLEEP_NANOS);
      }
    }
  }

  /**
   * Whether NCCL has enqueued all calls.
   *
   * @throws CommunicationException if the group has failed
   */
  boolean requireHealthy(String function) {
    requireOpen();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ValueLayout.JAVA_INT);
      check(Nccl.ncclCommGetAsyncError(handle, state), "ncclCommGetAsyncError", handle);
      int result = state.get(ValueLayout.JAVA_INT, 0);
      if (!served(result)) {
        throw fail(function + " failed: " + NcclLibrary.errorString(result, handle));
      }
      return result == Nccl.ncclSuccess();
    }
  }

  /** Aborts the communicator, because another one of the same stream has failed. */
  void abandon(String reason) {
    if (!over) {
      over = true;
      stopped = reason;
      Nccl.ncclCommAbort(handle);
    }
  }

  private void requireOpen() {
    if (over) {
      throw new CommunicationException(stopped == null ? control.name() + " is closed" : stopped);
    }
  }

  /** All members abort, because NCCL cannot reuse a failed communicator. */
  private CommunicationException fail(String what) {
    String sentence = Words.of("rank %d of %s: %s", control.rank(), control.name(), what);
    if (!over) {
      abandon(stopped == null ? sentence : stopped);
      control.abort(what);
    }
    return new CommunicationException(sentence);
  }

  /** Whether NCCL has served a call, or still does. */
  static boolean served(int result) {
    return result == Nccl.ncclSuccess() || result == Nccl.ncclInProgress();
  }

  /** The pointer that NCCL has stored in a cell; NULL before that. */
  private static MemorySegment stored(MemorySegment cell) {
    return (MemorySegment) HANDLE.getAcquire(cell, 0L);
  }

  private static MemorySegment config(Arena arena) {
    MemorySegment config = ncclConfig_v23000.allocate(arena);
    ncclConfig_v23000.size(config, CONFIG_BYTES);
    ncclConfig_v23000.magic(config, MAGIC);
    ncclConfig_v23000.version(config, CONFIG_VERSION);
    ncclConfig_v23000.blocking(config, 0);
    return config;
  }

  private static void check(int result, String function, MemorySegment handle) {
    if (!served(result)) {
      throw new CommunicationException(
          function + " failed: " + NcclLibrary.errorString(result, handle));
    }
  }
}
