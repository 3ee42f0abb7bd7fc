package panamoe.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Allocates and frees memory of a native device. Thread-safe. */
public final class NativeMemory {
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
    try (Arena call = Arena.ofConfined()) {
      MemorySegment pointer = call.allocate(Moe.C_POINTER);
      Status.check(Moe.moe_memory_allocate(device, bytes, pointer), "moe_memory_allocate");
      return pointer.get(Moe.C_POINTER, 0).reinterpret(bytes, arena, null);
    }
  }

  /**
   * Frees a segment of {@link #allocate}, which must not be used any more. Its arena may be closed
   * already.
   *
   * @throws IllegalArgumentException if this device did not allocate it, or it is already freed
   */
  public static void free(long device, MemorySegment memory) {
    Status.check(
        Moe.moe_memory_free(device, MemorySegment.ofAddress(memory.address())), "moe_memory_free");
  }
}
