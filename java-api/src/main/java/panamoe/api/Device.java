package panamoe.api;

import panamoe.backend.Backend;
import panamoe.backend.Backends;

/**
 * Where layers and models run: a device and a team of threads on it. Used by one thread at a time; open one for each
 * thread that computes. Close what was made on a device before the device; {@link #close} is idempotent.
 */
public final class Device implements AutoCloseable {
  private final Backend backend;

  private Device(Backend backend) {
    this.backend = backend;
  }

  /**
   * Opens a device.
   *
   * @param name "cpu" (native kernels), "cuda" (native kernels for an NVIDIA card; callers' memory is copied there and
   *     back), "reference" (plain Java, slow and exact, needs no native library) or "auto" (the first of cuda, cpu and
   *     reference that can be had)
   * @param threads 0 for one a processor; results do not depend on it
   * @throws PanamoeException if there is no such device here; the message says what was looked for
   */
  public static Device open(String name, int threads) {
    return PanamoeException.translating(() -> new Device(Backends.open(name, threads)));
  }

  /** "cpu", "cuda" or "reference". */
  public String name() {
    return backend.name();
  }

  @Override
  public void close() {
    backend.close();
  }

  Backend backend() {
    return backend;
  }
}
