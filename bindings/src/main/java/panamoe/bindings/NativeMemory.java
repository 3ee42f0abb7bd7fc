package panamoe.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory of a device of the native library. Thread-safe. */
public final class NativeMemory {
  private NativeMemory() {}

  /**
   * Memory aligned to 64 bytes, contents undefined.
   *
   * @param device a {@code moe_device}
   * @param arena whose life ends no later than the device's: when it is closed, the segment is
   *     refused by the JVM instead of read after the device took its memory back; it does not free
   *     the memory
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws OutOfMemoryError if the device has none left; the message says how much was asked for
   */
  public static MemorySegment allocate(long device, long bytes, Arena arena) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment pointer = call.allocate(Moe.C_POINTER);
      Status.check(Moe.moe_memory_allocate(device, bytes, pointer), "moe_memory_allocate");
      return pointer.get(Moe.C_POINTER, 0).reinterpret(bytes, arena, null);
    }
  }

  /**
   * Gives back what {@link #allocate} returned; the segment must not be used any more. Its arena
   * may be closed already.
   *
   * @throws IllegalArgumentException if this device did not hand it out or has it back already
   */
  public static void free(long device, MemorySegment memory) {
    Status.check(
        Moe.moe_memory_free(device, MemorySegment.ofAddress(memory.address())), "moe_memory_free");
  }
}
