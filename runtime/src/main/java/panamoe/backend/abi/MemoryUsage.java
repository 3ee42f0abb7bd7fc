package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.bindings.Moe;
import panamoe.bindings.Status;
import panamoe.bindings.moe_memory_usage;

/**
 * Bytes that a device's allocator holds: the {@code moe_memory_usage} of the C ABI.
 *
 * @param inUse handed out and not freed
 * @param cached kept for the next allocation of the same size
 * @param peak most in use at once since the device was opened
 */
public record MemoryUsage(long inUse, long cached, long peak) {

  static MemoryUsage of(long device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment usage = moe_memory_usage.allocate(arena);
      moe_memory_usage.struct_size(usage, (int) moe_memory_usage.sizeof());
      Status.check(Moe.moe_memory_usage_get(device, usage), "moe_memory_usage_get");
      return new MemoryUsage(
          moe_memory_usage.in_use(usage),
          moe_memory_usage.cached(usage),
          moe_memory_usage.peak(usage));
    }
  }
}
