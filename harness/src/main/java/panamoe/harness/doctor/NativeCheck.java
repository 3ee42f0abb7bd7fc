package panamoe.harness.doctor;

import java.util.List;
import panamoe.backend.abi.DeviceInfo;
import panamoe.backend.abi.NativeBackend;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeException;
import panamoe.bindings.NativeLibrary;

/** Loads the native library and asks its backends what they run on. */
final class NativeCheck {
  private NativeCheck() {}

  static List<Finding> findings() {
    if (!NativeLibrary.isAvailable()) {
      String reason = NativeLibrary.unavailabilityCause().orElseThrow().getMessage().lines().findFirst().orElseThrow();
      return List.of(Finding.missing("native library", true, reason + "; ./panamoe build makes it"));
    }
    Finding library =
        Finding.present(
            "native library",
            "%s, ABI version %d".formatted(NativeLibrary.file().orElseThrow(), Moe.moe_abi_version()));
    try (NativeBackend cpu = NativeBackend.open("cpu", 0)) {
      return List.of(library, simd(cpu.deviceInfo()), card());
    }
  }

  private static Finding card() {
    try (NativeBackend cuda = NativeBackend.open("cuda", 0)) {
      DeviceInfo info = cuda.deviceInfo();
      return Finding.present("NVIDIA card", "%s, %s, %d multiprocessors, %.1f of %.1f GB free".formatted(
          info.name(), info.target(), info.processors(), info.memoryAvailable() / 1e9, info.memoryTotal() / 1e9));
    } catch (NativeException e) {
      return Finding.missing("NVIDIA card", false, e.getMessage());
    }
  }

  private static Finding simd(DeviceInfo info) {
    return Finding.present("SIMD", "target %s, %d-bit vectors, bfloat16 products %s".formatted(
        info.target(), 8 * info.vectorBytes(), info.nativeBfloat16() ? "in hardware" : "by way of float32"));
  }
}
