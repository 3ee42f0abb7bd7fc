package panamoe.api;

import java.lang.foreign.MemorySegment;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Callers' memory as tensors: the memory itself, or a copy on a device that works on its own memory alone. */
final class CallersMemory {
  private CallersMemory() {}

  /**
   * Memory to read.
   *
   * @throws IllegalArgumentException if the segment is on the heap, too small or misaligned, or another thread's
   * @throws IllegalStateException if its arena is closed
   */
  static Tensor input(Backend backend, TensorScope scope, MemorySegment segment, DType dtype, long... shape) {
    requireAlive(segment);
    Tensor callers = scope.wrap(segment, dtype, shape);
    if (!backend.asynchronous()) {
      return callers;
    }
    Tensor copy = scope.allocate(dtype, shape);
    copy.data().copyFrom(callers.data());
    return copy;
  }

  /** Memory to write, FLOAT32; throws as {@link #input} does, and if the segment is read-only. */
  static Tensor output(Backend backend, TensorScope scope, MemorySegment segment, long... shape) {
    requireAlive(segment);
    if (segment.isReadOnly()) {
      throw new IllegalArgumentException("the segment is read-only, but receives a result");
    }
    Tensor callers = scope.wrap(segment, DType.FLOAT32, shape);
    return backend.asynchronous() ? scope.allocate(DType.FLOAT32, shape) : callers;
  }

  /** Makes what kernels wrote to an {@link #output}, and are done with, the caller's. */
  static void giveBack(Backend backend, Tensor output, MemorySegment segment) {
    if (backend.asynchronous()) {
      MemorySegment.copy(output.data(), 0, segment, 0, output.bytes());
    }
  }

  /** Kernels take addresses, which nobody checks: memory that is gone would end the JVM. */
  static void requireAlive(MemorySegment segment) {
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("the arena of a segment is already closed");
    }
    if (!segment.isAccessibleBy(Thread.currentThread())) {
      throw new IllegalArgumentException("the segment's arena is confined to another thread");
    }
  }
}
