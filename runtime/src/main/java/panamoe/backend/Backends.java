package panamoe.backend;

import java.util.List;
import java.util.Optional;
import panamoe.backend.abi.NativeBackend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.bindings.NativeLibrary;

/** The backends by name. */
public final class Backends {
  /** What {@link #open} takes for a device. */
  public static final List<String> NAMES = List.of("auto", "cpu", "reference");

  private Backends() {}

  /**
   * Opens a backend, to be closed by the caller.
   *
   * @param device "cpu": the native library; "reference": plain Java on one thread, slow; "auto": "cpu" where the
   *     library loads, else "reference", for the reason that {@link #nativeUnavailable} tells
   * @param threads threads of the cpu backend, 0 for one per processor; results do not depend on it
   * @throws IllegalArgumentException if there is no such device, or threads is negative
   * @throws UnsatisfiedLinkError if "cpu" was asked for and the library cannot be loaded
   */
  public static Backend open(String device, int threads) {
    if (threads < 0) {
      throw new IllegalArgumentException("threads is " + threads + ", expected 0 (one per processor) or more");
    }
    return switch (device) {
      case "auto" -> nativeUnavailable().isEmpty() ? NativeBackend.open("cpu", threads) : new ReferenceBackend();
      case "cpu" -> NativeBackend.open("cpu", threads);
      case "reference" -> new ReferenceBackend();
      default ->
          throw new IllegalArgumentException(
              "device is '" + device + "', expected one of " + String.join(", ", NAMES));
    };
  }

  /** Why the native library cannot be used, in a sentence; empty when it can. */
  public static Optional<String> nativeUnavailable() {
    return NativeLibrary.unavailabilityCause().map(Throwable::getMessage);
  }
}
