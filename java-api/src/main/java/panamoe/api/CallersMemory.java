package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Callers' memory as tensors of one call. Kernels work on the memory itself where that is safe, and
 * on a copy otherwise:
 *
 * <ul>
 *   <li>a card works on its own memory alone;
 *   <li>a file that is mapped may be truncated, and then only Java's own access is an exception
 *       instead of a crash. The JVM knows what is mapped of a segment, and of one made of a {@code
 *       MappedByteBuffer}, not of a view of such a buffer as floats or ints;
 *   <li>token ids are checked and then used as indices: another thread could change them in
 *       between.
 * </ul>
 */
final class CallersMemory {
  private final Backend backend;
  private final TensorScope scope;
  private final Map<String, MemorySegment> borrowed = new LinkedHashMap<>();

  /**
   * @param backend whose kernels are called
   * @param scope of the call's tensors
   */
  CallersMemory(Backend backend, TensorScope scope) {
    this.backend = backend;
    this.scope = scope;
  }

  /**
   * FLOAT32 memory to read.
   *
   * @param name of the argument, for messages; so below
   * @throws IllegalArgumentException if the segment is null, on the heap, too small, misaligned,
   *     another thread's, or a file's that was truncated
   * @throws IllegalStateException if its arena is closed
   */
  Tensor input(String name, MemorySegment segment, long... shape) {
    Tensor callers = wrap(name, segment, DType.FLOAT32, shape);
    return needsCopy(segment) ? copied(name, callers) : callers;
  }

  /** A copy of INT32 memory; throws as {@link #input} does. */
  Tensor ids(String name, MemorySegment segment, long... shape) {
    return copied(name, wrap(name, segment, DType.INT32, shape));
  }

  /**
   * A copy of UINT8 memory of 0 and 1; throws as {@link #input} does, and if another number is in
   * it.
   */
  Tensor mask(String name, MemorySegment segment, long count) {
    Tensor copy = copied(name, wrap(name, segment, DType.UINT8, count));
    for (long i = 0; i < count; i++) {
      byte value = copy.data().get(ValueLayout.JAVA_BYTE, i);
      if (value != 0 && value != 1) {
        throw new IllegalArgumentException(
            name + "[" + i + "] is " + (value & 0xff) + ", expected 0 or 1");
      }
    }
    return copy;
  }

  /** FLOAT32 memory to write; throws as {@link #input} does, and if the segment is read-only. */
  Tensor output(String name, MemorySegment segment, long... shape) {
    Tensor callers = wrap(name, segment, DType.FLOAT32, shape);
    if (segment.isReadOnly()) {
      throw new IllegalArgumentException(name + " is read-only, but receives a result");
    }
    return needsCopy(segment) ? scope.allocate(DType.FLOAT32, shape) : callers;
  }

  /**
   * Runs kernels on the memory and waits for them.
   *
   * @throws IllegalStateException if an arena was closed meanwhile; it names the argument
   */
  void compute(Runnable kernels) {
    try {
      kernels.run();
      backend.synchronize();
    } catch (IllegalStateException e) {
      for (Map.Entry<String, MemorySegment> memory : borrowed.entrySet()) {
        if (!memory.getValue().scope().isAlive()) {
          throw closed(memory.getKey(), e);
        }
      }
      throw e;
    }
  }

  /** Makes what kernels wrote to an {@link #output}, and are done with, the caller's. */
  void giveBack(String name, Tensor output, MemorySegment segment) {
    if (output.borrowedMemory() == null) {
      copy(name, output.data(), segment.asSlice(0, output.bytes()));
    }
  }

  /**
   * Refuses results over what the same call reads.
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

  /** Refuses memory that is gone: kernels take addresses, which nobody else checks. */
  static void requireAlive(String name, MemorySegment segment) {
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("the arena of " + name + " is closed");
    }
    if (!segment.isAccessibleBy(Thread.currentThread())) {
      throw new IllegalArgumentException("the arena of " + name + " is confined to another thread");
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

  private Tensor copied(String name, Tensor callers) {
    Tensor copy = scope.allocate(callers.dtype(), callers.shape());
    copy(name, callers.borrowedMemory(), copy.data());
    return copy;
  }

  private static void copy(String name, MemorySegment from, MemorySegment to) {
    try {
      to.copyFrom(from);
      // The JVM reports a page that is gone when it next looks for such reports: at the latest as a
      // native method
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
