package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import panamoe.api.internal.Argument;
import panamoe.backend.Backend;
import panamoe.io.Count;
import panamoe.io.Require;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.NotFinite;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Wraps callers' memory as tensors for one call. Kernels use the memory itself except in these
 * cases, in which it is copied:
 *
 * <ul>
 *   <li>a GPU, which cannot access the caller's memory;
 *   <li>a mapped file, which may be truncated: Java's access then throws, but a kernel's crashes
 *       the process. The JVM knows that a segment is mapped, also one of a {@code
 *       MappedByteBuffer}, but not one of such a buffer's view as floats or ints;
 *   <li>token ids, which are checked and then used as indices: another thread could change them in
 *       between.
 * </ul>
 */
final class CallersMemory {
  /** Asking for free memory takes 0.1 ms, negligible in a call with more activations. */
  private static final double COMPARED_BYTES = 64 << 20;

  /** The allocator rounds sizes up by at most an eighth (core/memory_blocks.h). */
  private static final double ROUNDING = 9 / 8.0;

  private final Backend backend;
  private final TensorScope scope;
  private final Map<String, MemorySegment> borrowed = new LinkedHashMap<>();

  /**
   * @param backend that runs the kernels
   * @param scope of the call's tensors
   */
  CallersMemory(Backend backend, TensorScope scope) {
    this.backend = backend;
    this.scope = scope;
  }

  /**
   * Refuses a call whose activations do not fit into the free memory.
   *
   * @throws OutOfMemoryError in one sentence
   */
  void requireRoom(Cost cost, Work work) {
    double bytes = (cost.kept() + cost.inFlight()) * ROUNDING;
    if (bytes > COMPARED_BYTES) {
      String tokens = Count.of(work.tokens(), "token");
      backend.requireMemory("the activations of " + tokens + " in a call", bytes);
    }
  }

  /**
   * A FLOAT32 tensor over memory to read.
   *
   * @param name of the argument, for messages
   * @throws IllegalArgumentException if the segment is null, on the heap, too small, misaligned,
   *     another thread's, or maps a file that was truncated
   * @throws IllegalStateException if its arena is closed
   */
  Tensor input(String name, MemorySegment segment, long... shape) {
    return input(name, DType.FLOAT32, segment, shape);
  }

  /** A tensor of {@code dtype} to read. */
  Tensor input(String name, DType dtype, MemorySegment segment, long... shape) {
    Tensor callers = wrap(name, segment, dtype, shape);
    return needsCopy(segment) ? copied(name, callers, copy -> {}) : callers;
  }

  /**
   * An INT32 tensor with a copy of the memory; throws like {@link #input}, and if a value is less
   * than {@code least} or more than {@code most}.
   */
  Tensor ids(String name, MemorySegment segment, long count, int least, int most) {
    return copied(
        name,
        wrap(name, segment, DType.INT32, count),
        copy -> requireRange(name, copy, least, most));
  }

  private static void requireRange(String name, MemorySegment ids, int least, int most) {
    for (long i = 0; i < ids.byteSize() / Integer.BYTES; i++) {
      int id = ids.getAtIndex(ValueLayout.JAVA_INT, i);
      if (id < least || id > most) { // in a loop over tokens: no boxing before the check
        throw Require.refusal("%s[%s] is %s, expected %s to %s", name, i, id, least, most);
      }
    }
  }

  /** A UINT8 tensor with a copy of the memory; throws like {@link #input}, and if not 0 or 1. */
  Tensor mask(String name, MemorySegment segment, long count) {
    return copied(
        name, wrap(name, segment, DType.UINT8, count), copy -> requireZerosAndOnes(name, copy));
  }

  private static void requireZerosAndOnes(String name, MemorySegment mask) {
    for (long i = 0; i < mask.byteSize(); i++) {
      byte value = mask.get(ValueLayout.JAVA_BYTE, i);
      if (value != 0 && value != 1) {
        throw new IllegalArgumentException(
            name + "[" + i + "] is " + (value & 0xff) + ", expected 0 or 1");
      }
    }
  }

  /** A FLOAT32 tensor over memory to write; throws like {@link #input}, and if read-only. */
  Tensor output(String name, MemorySegment segment, long... shape) {
    return output(name, DType.FLOAT32, segment, shape);
  }

  /** A tensor of {@code dtype} to write. */
  Tensor output(String name, DType dtype, MemorySegment segment, long... shape) {
    Tensor callers = wrap(name, segment, dtype, shape);
    Require.that(!segment.isReadOnly(), "%s is read-only, but receives a result", name);
    return needsCopy(segment) ? scope.allocate(dtype, shape) : callers;
  }

  /**
   * Runs kernels on the tensors and waits for them.
   *
   * @throws NotFinite if a gate's input is not finite
   * @throws IllegalStateException with the argument's name, if its arena was closed meanwhile
   */
  void compute(Runnable kernels) {
    try {
      kernels.run();
      await();
    } catch (IllegalStateException e) {
      for (Map.Entry<String, MemorySegment> memory : borrowed.entrySet()) {
        if (!memory.getValue().scope().isAlive()) {
          throw closed(memory.getKey(), e);
        }
      }
      throw e;
    }
  }

  /**
   * Waits for the kernels of a forward. Only now does a GPU report a gate's refused logits; the
   * other inputs were checked before.
   *
   * @throws NotFinite if a gate's logits are not finite
   */
  void await() {
    try {
      backend.synchronize();
    } catch (IllegalArgumentException e) {
      throw new NotFinite(" (" + e.getMessage() + ")", e);
    }
  }

  /** Copies the caller's memory to an {@link #input} again, if it was copied. */
  void take(String name, Tensor input, MemorySegment segment) {
    if (input.borrowedMemory() == null) {
      write(input, name, segment.asSlice(0, input.bytes()));
    }
  }

  /** Copies an {@link #output} to the caller's memory if needed, after {@link #compute}. */
  void giveBack(String name, Tensor output, MemorySegment segment) {
    if (output.borrowedMemory() == null) {
      copy(name, HostView.elements(output), segment.asSlice(0, output.bytes()));
    }
  }

  /**
   * Refuses output memory that overlaps input memory of the same call.
   *
   * @throws IllegalArgumentException if the segments overlap
   */
  static void requireApart(
      String name, MemorySegment segment, String otherName, MemorySegment other) {
    if (segment.isNative() && other.isNative() && segment.asOverlappingSlice(other).isPresent()) {
      throw new IllegalArgumentException(
          name + " overlaps " + otherName + ", expected memory of its own");
    }
  }

  /** Refuses memory of a closed arena: kernels get addresses, which are not checked again. */
  static void requireAlive(String name, MemorySegment segment) {
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("the arena of " + name + " is closed");
    }
    if (!segment.isAccessibleBy(Thread.currentThread())) {
      throw new IllegalArgumentException("the arena of " + name + " is confined to another thread");
    }
  }

  /**
   * Copies a tensor to memory of its size, on any device.
   *
   * @throws IllegalArgumentException if the segment is null, of another size, read-only or another
   *     thread's, or maps a file that was truncated
   * @throws IllegalStateException if its arena is closed
   */
  static void read(Tensor tensor, String name, MemorySegment into) {
    requireAlive(name, Argument.notNull(name, into));
    Require.that(!into.isReadOnly(), "%s is read-only, but receives a result", name);
    if (into.isMapped() && into.byteSize() == tensor.bytes()) {
      copy(name, HostView.elements(tensor), into);
    } else {
      tensor.copyTo(into);
    }
  }

  /** Sets a tensor to memory of its size; throws as {@link #read} does, then sets nothing. */
  static void write(Tensor tensor, String name, MemorySegment from) {
    requireAlive(name, Argument.notNull(name, from));
    if (!from.isMapped() || from.byteSize() != tensor.bytes()) {
      tensor.copyFrom(from);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(tensor.bytes(), 64);
      copy(name, from, copy);
      tensor.copyFrom(copy);
    }
  }

  private Tensor wrap(String name, MemorySegment segment, DType dtype, long... shape) {
    requireAlive(name, Argument.notNull(name, segment));
    borrowed.put(name, segment);
    try {
      return scope.wrap(segment, dtype, shape);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(name + ": " + e.getMessage(), e);
    }
  }

  private static IllegalStateException closed(String name, IllegalStateException cause) {
    return new IllegalStateException("the arena of " + name + " was closed during the call", cause);
  }

  private boolean needsCopy(MemorySegment segment) {
    return backend.asynchronous() || segment.isMapped();
  }

  /**
   * @param check of the copy, before kernels get it
   */
  private Tensor copied(String name, Tensor callers, Consumer<MemorySegment> check) {
    Tensor copy = scope.allocate(callers.dtype(), callers.shape());
    HostView view = HostView.of(copy);
    copy(name, callers.borrowedMemory(), view.memory());
    check.accept(view.memory());
    view.write();
    return copy;
  }

  private static void copy(String name, MemorySegment from, MemorySegment to) {
    try {
      to.copyFrom(from);
      // The JVM throws for a missing page at its next check, at the latest when a native method
      // returns.
      Thread.holdsLock(to);
    } catch (InternalError e) {
      throw new IllegalArgumentException(
          "the file that " + name + " is mapped from was truncated, or its disk is full", e);
    } catch (IllegalStateException e) {
      throw closed(name, e);
    }
  }
}
