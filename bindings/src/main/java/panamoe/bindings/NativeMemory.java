package panamoe.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Allocates, fills, reads and frees memory of a native device. Thread-safe. */
public final class NativeMemory {
  /** The most of the heap that is copied at a time: C sees no memory of the heap. */
  private static final long PIECE_BYTES = 1 << 20;

  /** Where an allocation of a thread stores its address. */
  private static final ThreadLocal<MemorySegment> POINTER =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(Moe.C_POINTER));

  private NativeMemory() {}

  /**
   * Memory aligned to 64 bytes, contents undefined.
   *
   * @param device a {@code moe_device}
   * @param arena must be closed no later than the device: closing it makes the JVM refuse the
   *     segment, so that no access reaches freed memory; it does not free the memory
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws OutOfMemoryError if the device has no memory left; the message names the size
   */
  public static MemorySegment allocate(long device, long bytes, Arena arena) {
    MemorySegment pointer = POINTER.get();
    Status.check(Moe.moe_memory_allocate(device, bytes, pointer), "moe_memory_allocate");
    return pointer.get(Moe.C_POINTER, 0).reinterpret(bytes, arena, null);
  }

  /**
   * As {@link #allocate(long, long, Arena)}, of a device whose memory the host cannot access:
   * access to the segment throws {@link IllegalStateException}, and it cannot be an argument of a
   * native call, only its {@link #pointer}.
   */
  public static MemorySegment allocate(long device, long bytes) {
    try (Arena closedNow = Arena.ofConfined()) {
      return allocate(device, bytes, closedNow);
    }
  }

  /** Where a segment begins, as an argument of a native call, which does not keep it alive. */
  public static MemorySegment pointer(MemorySegment memory) {
    return MemorySegment.ofAddress(memory.address());
  }

  /**
   * Frees a segment of one of the {@code allocate} methods, which must not be used any more. Its
   * arena may be closed already.
   *
   * @throws IllegalArgumentException if this device did not allocate it, or it is already freed
   */
  public static void free(long device, MemorySegment memory) {
    Status.check(Moe.moe_memory_free(device, pointer(memory)), "moe_memory_free");
  }

  /**
   * Copies {@code host} to device memory of equal size, after the work given to {@code stream}.
   *
   * @param host native or on the heap; may change once this returns
   */
  public static void write(long stream, MemorySegment host, MemorySegment memory) {
    if (host.isNative()) {
      Status.check(
          Moe.moe_memory_write(stream, host, host.byteSize(), pointer(memory)), "moe_memory_write");
      return;
    }
    try (Arena call = Arena.ofConfined()) {
      MemorySegment piece = call.allocate(Math.min(PIECE_BYTES, host.byteSize()));
      for (long at = 0; at < host.byteSize(); at += PIECE_BYTES) {
        MemorySegment now = piece.asSlice(0, Math.min(PIECE_BYTES, host.byteSize() - at));
        now.copyFrom(host.asSlice(at, now.byteSize()));
        write(stream, now, memory.asSlice(at, now.byteSize()));
      }
    }
  }

  /**
   * Copies device memory to {@code host} of equal size, once the work given to {@code stream} is
   * done.
   *
   * @param host native or on the heap
   */
  public static void read(long stream, MemorySegment memory, MemorySegment host) {
    if (host.isNative()) {
      Status.check(
          Moe.moe_memory_read(stream, pointer(memory), host.byteSize(), host), "moe_memory_read");
      return;
    }
    try (Arena call = Arena.ofConfined()) {
      MemorySegment piece = call.allocate(Math.min(PIECE_BYTES, host.byteSize()));
      for (long at = 0; at < host.byteSize(); at += PIECE_BYTES) {
        MemorySegment now = piece.asSlice(0, Math.min(PIECE_BYTES, host.byteSize() - at));
        read(stream, memory.asSlice(at, now.byteSize()), now);
        host.asSlice(at, now.byteSize()).copyFrom(now);
      }
    }
  }

  /** Sets device memory to 0, after the work given to {@code stream}. */
  public static void zero(long stream, MemorySegment memory) {
    Status.check(
        Moe.moe_memory_zero(stream, pointer(memory), memory.byteSize()), "moe_memory_zero");
  }
}
