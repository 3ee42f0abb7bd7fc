package panamoe.api;

import java.lang.System.Logger.Level;
import panamoe.backend.Backend;
import panamoe.backend.Backends;

/**
 * Where layers and models run: a device and a team of threads on it. Used by one thread at a time; open one for each
 * thread that computes. Close what was made on a device before the device; {@link #close} is idempotent.
 */
public final class Device implements AutoCloseable {
  private static final System.Logger LOGGER = System.getLogger(Device.class.getName());

  private final Backend backend;

  private Device(Backend backend) {
    this.backend = backend;
  }

  /**
   * Opens a device.
   *
   * @param name "cpu" (native kernels), "cuda" (native kernels for an NVIDIA card; callers' memory is copied there and
   *     back), "reference" (plain Java, slow and exact, needs no native library) or "auto" (the first of cuda, cpu and
   *     reference that can be had; plain Java is warned of by this class's {@link System.Logger})
   * @param threads 0 for one a processor; results do not depend on it
   * @throws PanamoeException if there is no such device here; the message says what was looked for
   */
  public static Device open(String name, int threads) {
    Device device = PanamoeException.translating(() -> new Device(Backends.open(name, threads)));
    if (name.equals("auto")) {
      Backends.nativeUnavailable()
          .ifPresent(why -> LOGGER.log(Level.WARNING, "computing in plain Java, which is slow: " + why));
    }
    return device;
  }

  /** "cpu", "cuda" or "reference". */
  public String name() {
    return backend.name();
  }

  @Override
  public String toString() {
    return "Device " + name();
  }

  @Override
  public void close() {
    backend.close();
  }

  Backend backend() {
    return backend;
  }
}
