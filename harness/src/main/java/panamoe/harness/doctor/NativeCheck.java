package panamoe.harness.doctor;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import panamoe.backend.abi.DeviceInfo;
import panamoe.backend.abi.NativeBackend;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeException;
import panamoe.bindings.NativeLibrary;
import panamoe.io.Words;

/** Loads the native library and lists its backends' devices. */
final class NativeCheck {
  private NativeCheck() {}

  static List<Finding> findings() {
    if (!NativeLibrary.isAvailable()) {
      // The first line of the message, without the list of searched paths.
      String message = NativeLibrary.unavailabilityCause().orElseThrow().getMessage();
      String reason = message.lines().findFirst().orElseThrow().replaceFirst("\\. Tried:$", "");
      return List.of(
          Finding.needed(
              "native library", Optional.empty(), reason + "; ./panamoe build builds it"));
    }
    String library =
        Words.of("%s, ABI version %d", NativeLibrary.file().orElseThrow(), Moe.moe_abi_version());
    try (NativeBackend cpu = NativeBackend.open("cpu", 0)) {
      return List.of(
          Finding.needed("native library", Optional.of(library), null),
          simd(cpu.deviceInfo()),
          gpu());
    }
  }

  private static Finding gpu() {
    try (NativeBackend cuda = NativeBackend.open("cuda", 0)) {
      DeviceInfo info = cuda.deviceInfo();
      return Finding.fact(
          "CUDA backend",
          Words.of(
              "%s, %s, %d multiprocessors, %.1f of %.1f GB free",
              info.name(),
              info.target(),
              info.processors(),
              info.memoryAvailable() / 1e9,
              info.memoryTotal() / 1e9));
    } catch (NativeException e) {
      return Finding.optional("CUDA backend", Optional.empty(), cudaAdvice(e));
    }
  }

  /** The library's own message helps only users with a GPU and the CUDA backend. */
  private static String cudaAdvice(NativeException refused) {
    if (MachineCheck.gpu().isEmpty()) {
      return "not needed: this machine has no NVIDIA GPU";
    }
    Path backend =
        NativeLibrary.file().orElseThrow().resolveSibling(System.mapLibraryName("panamoe_cuda"));
    return Files.exists(backend)
        ? "the GPU cannot be used: " + refused.reason()
        : "not built for this machine's GPU: any command with --device cuda builds it, with the CUDA toolkit";
  }

  private static Finding simd(DeviceInfo info) {
    return Finding.fact(
        "SIMD",
        Words.of(
            "target %s, %d-bit vectors, bfloat16 products %s",
            info.target(),
            8 * info.vectorBytes(),
            info.nativeBfloat16()
                ? "in hardware"
                : "by way of float32" + missing(MachineCheck.flags())));
  }

  /**
   * Explains missing bfloat16 products despite the processor's flags: Highway uses avx512_bf16 on
   * AMD only.
   */
  static String missing(List<String> flags) {
    return flags.contains("avx512_bf16") && !flags.contains("amx_bf16")
        ? ", as the processor has no amx_bf16 (avx512_bf16 is used on AMD only)"
        : "";
  }
}
