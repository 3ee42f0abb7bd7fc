package panamoe.harness.doctor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.regex.Pattern;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeLibrary;
import panamoe.bindings.Status;
import panamoe.bindings.moe_device_info;

/** Loads the native library and asks its CPU backend what it runs on. */
final class NativeCheck {
  private NativeCheck() {}

  static List<Finding> findings() {
    if (!NativeLibrary.isAvailable()) {
      String reason = NativeLibrary.unavailabilityCause().orElseThrow().getMessage().lines().findFirst().orElseThrow();
      return List.of(Finding.missing("native library", true, reason + "; ./panamoe build makes it"));
    }
    String path = SystemFile.find("/proc/self/maps", Pattern.compile("(/\\S*libpanamoe\\S*)")).orElse("loaded");
    Finding library = Finding.present("native library", "%s, ABI version %d".formatted(path, Moe.moe_abi_version()));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handle = arena.allocate(ValueLayout.JAVA_LONG);
      Status.check(Moe.moe_device_open(arena.allocateFrom("cpu"), 0, handle), "moe_device_open");
      long device = handle.get(ValueLayout.JAVA_LONG, 0);
      try {
        MemorySegment info = moe_device_info.allocate(arena);
        moe_device_info.struct_size(info, Math.toIntExact(moe_device_info.sizeof()));
        Status.check(Moe.moe_device_describe(device, info), "moe_device_describe");
        return List.of(library, simd(info));
      } finally {
        Status.check(Moe.moe_device_close(device), "moe_device_close");
      }
    }
  }

  private static Finding simd(MemorySegment info) {
    boolean bfloat16 = moe_device_info.native_bfloat16(info) != 0;
    return Finding.present("SIMD", "target %s, %d-bit vectors, bfloat16 products %s".formatted(
        moe_device_info.target(info).getString(0),
        8 * moe_device_info.vector_bytes(info),
        bfloat16 ? "in hardware" : "by way of float32"));
  }
}
