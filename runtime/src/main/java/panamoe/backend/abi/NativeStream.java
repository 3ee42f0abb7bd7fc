package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.ToIntFunction;
import panamoe.bindings.Moe;
import panamoe.bindings.Status;

/** A stream of a device, and the ways to wait for its work. */
record NativeStream(long handle) {
  /**
   * @param threads of kernels on the host, 0 for one per processor
   */
  static NativeStream create(long device, int threads) {
    return new NativeStream(
        stored("moe_stream_create", to -> Moe.moe_stream_create(device, threads, to)));
  }

  void synchronize() {
    Status.check(Moe.moe_stream_synchronize(handle), "moe_stream_synchronize");
  }

  /** Whether all work is done, without waiting. */
  boolean finished() {
    return stored("moe_stream_query", to -> Moe.moe_stream_query(handle, to)) == 1;
  }

  /** Marks the end of the work so far. */
  long mark() {
    return stored("moe_stream_mark", to -> Moe.moe_stream_mark(handle, to));
  }

  /** Makes later work of this stream wait for another stream's work up to a mark. */
  void waitFor(NativeStream other, long mark) {
    Status.check(Moe.moe_stream_wait(handle, other.handle, mark), "moe_stream_wait");
  }

  /** The driver's stream, such as a {@code cudaStream_t}. */
  MemorySegment ofDriver() {
    return MemorySegment.ofAddress(
        stored("moe_stream_native", to -> Moe.moe_stream_native(handle, to)));
  }

  void destroy() {
    Moe.moe_stream_destroy(handle);
  }

  /** The number or address that a function writes to its output argument. */
  static long stored(String function, ToIntFunction<MemorySegment> call) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment number = arena.allocate(ValueLayout.JAVA_LONG);
      Status.check(call.applyAsInt(number), function);
      return number.get(ValueLayout.JAVA_LONG, 0);
    }
  }
}
