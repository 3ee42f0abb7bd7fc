package panamoe.backend;

import java.util.List;
import java.util.Optional;
import panamoe.backend.abi.NativeBackend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.bindings.NativeException;
import panamoe.bindings.NativeLibrary;

/** The backends by name. */
public final class Backends {
  /** Device names that {@link #open} accepts. */
  public static final List<String> NAMES = List.of("auto", "cpu", "cuda", "reference");

  /** Per device; the limit of the native library. */
  public static final int MOST_THREADS = 1024;

  private Backends() {}

  /** Opens a backend on the first GPU. */
  public static Backend open(String device, int threads) {
    return open(device, threads, 0);
  }

  /**
   * Opens a backend, to be closed by the caller.
   *
   * @param device "cpu": the native library; "cuda": its backend for NVIDIA GPUs; "reference":
   *     plain Java on one thread, slow; "auto": "cuda" where it is available, else "cpu" where the
   *     library loads, else "reference", for the reasons that {@link #cudaUnavailable} and {@link
   *     #nativeUnavailable} give. A library that a setting names has no substitute. Tests also open
   *     "simt", the emulation of "cuda"
   * @param threads threads of the cpu backend, 0 for one per processor; results do not depend on it
   * @param gpu index of the GPU, from 0; 0 for other devices
   * @throws IllegalArgumentException if there is no such device or GPU, or threads is not 0 to
   *     {@link #MOST_THREADS}
   * @throws UnsatisfiedLinkError if the library cannot be loaded, and a native backend was
   *     requested, or panamoe.native.path or PANAMOE_NATIVE_PATH names the library
   * @throws panamoe.bindings.NativeException if "cuda" was requested and is not available; the
   *     message says what is missing
   */
  public static Backend open(String device, int threads, int gpu) {
    if (threads < 0 || threads > MOST_THREADS) {
      throw new IllegalArgumentException(
          "threads is " + threads + ", expected 0 (one per processor) to " + MOST_THREADS);
    }
    return switch (device) {
      case "auto" -> best(threads, gpu);
      case "cpu", "cuda", "simt" -> NativeBackend.open(device, threads, gpu);
      case "reference" -> new ReferenceBackend();
      default ->
          throw new IllegalArgumentException(
              "device is '" + device + "', expected one of " + String.join(", ", NAMES));
    };
  }

  private static Backend best(int threads, int gpu) {
    NativeLibrary.refuseWrongSetting();
    if (nativeUnavailable().isPresent()) {
      return new ReferenceBackend();
    }
    return NativeBackend.open(cudaUnavailable().isEmpty() ? "cuda" : "cpu", threads, gpu);
  }

  /** Why no NVIDIA GPU can be used, in a sentence; empty when one can. */
  public static Optional<String> cudaUnavailable() {
    try (NativeBackend _ = NativeBackend.open("cuda", 0)) {
      return Optional.empty();
    } catch (NativeException e) {
      return Optional.of(e.reason());
    } catch (UnsatisfiedLinkError e) {
      return Optional.of(e.getMessage());
    }
  }

  /** Why the native library cannot be used, in a sentence; empty when it can. */
  public static Optional<String> nativeUnavailable() {
    return NativeLibrary.unavailabilityCause().map(Throwable::getMessage);
  }
}
