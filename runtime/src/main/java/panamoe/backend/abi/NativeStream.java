package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.bindings.Moe;
import panamoe.bindings.Status;

/** A stream of a device, and the ways to wait for its work. */
record NativeStream(long handle) {
  /**
   * @param threads of its kernels on the host, 0 for one per processor
   */
  static NativeStream create(long device, int threads) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment handle = call.allocate(ValueLayout.JAVA_LONG);
      Status.check(Moe.moe_stream_create(device, threads, handle), "moe_stream_create");
      return new NativeStream(handle.get(ValueLayout.JAVA_LONG, 0));
    }
  }

  void synchronize() {
    Status.check(Moe.moe_stream_synchronize(handle), "moe_stream_synchronize");
  }

  /** Whether all work is done, without waiting. */
  boolean finished() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment finished = call.allocate(ValueLayout.JAVA_INT);
      Status.check(Moe.moe_stream_query(handle, finished), "moe_stream_query");
      return finished.get(ValueLayout.JAVA_INT, 0) == 1;
    }
  }

  /** Marks the end of the work so far. */
  long mark() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment mark = call.allocate(ValueLayout.JAVA_LONG);
      Status.check(Moe.moe_stream_mark(handle, mark), "moe_stream_mark");
      return mark.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /** Lets later work of this stream wait for another's work up to a mark of it. */
  void waitFor(NativeStream other, long mark) {
    Status.check(Moe.moe_stream_wait(handle, other.handle, mark), "moe_stream_wait");
  }

  /** The driver's stream, such as a {@code cudaStream_t}. */
  MemorySegment ofDriver() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment stream = call.allocate(ValueLayout.ADDRESS);
      Status.check(Moe.moe_stream_native(handle, stream), "moe_stream_native");
      return stream.get(ValueLayout.ADDRESS, 0);
    }
  }

  void destroy() {
    Moe.moe_stream_destroy(handle);
  }
}
