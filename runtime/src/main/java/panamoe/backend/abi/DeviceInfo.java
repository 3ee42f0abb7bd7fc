package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.bindings.Moe;
import panamoe.bindings.Status;
import panamoe.bindings.moe_device_info;

/**
 * Properties of a device: the {@code moe_device_info} of the C ABI.
 *
 * @param name the processor or GPU
 * @param target the instruction set in use, such as AVX2
 * @param processors hardware threads, or streaming multiprocessors
 * @param vectorBytes width of one SIMD register, or of a warp's load
 * @param nativeBfloat16 whether bfloat16 products run in hardware
 * @param memoryTotal bytes
 * @param memoryAvailable bytes free when asked
 * @param asynchronous whether calls return before their work is done
 */
public record DeviceInfo(
    String name,
    String target,
    int processors,
    int vectorBytes,
    boolean nativeBfloat16,
    long memoryTotal,
    long memoryAvailable,
    boolean asynchronous) {

  static DeviceInfo of(long device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = moe_device_info.allocate(arena);
      moe_device_info.struct_size(info, (int) moe_device_info.sizeof());
      Status.check(Moe.moe_device_describe(device, info), "moe_device_describe");
      return new DeviceInfo(
          moe_device_info.name(info).getString(0),
          moe_device_info.target(info).getString(0),
          moe_device_info.processors(info),
          moe_device_info.vector_bytes(info),
          moe_device_info.native_bfloat16(info) != 0,
          moe_device_info.memory_total(info),
          moe_device_info.memory_available(info),
          moe_device_info.asynchronous(info) != 0);
    }
  }
}
