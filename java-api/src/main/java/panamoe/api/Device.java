package panamoe.api;

import java.lang.System.Logger.Level;
import panamoe.backend.Backend;
import panamoe.backend.Backends;

/**
 * Where layers and models run: a device and a team of threads on it.
 *
 * <p>One thread at a time calls a device and all that was made on it; a second one meanwhile gets
 * an {@link IllegalStateException}, and so does whoever uses or closes what is closed or in use.
 * Any thread may call after another. Open a device for each thread that computes.
 */
public final class Device implements AutoCloseable {
  static {
    RequiredJava.check();
  }

  private static final System.Logger LOGGER = System.getLogger(Device.class.getName());

  private final Backend backend;
  private final Lifetime lifetime;

  private Device(Backend backend) {
    this.backend = backend;
    this.lifetime = Lifetime.ofDevice("device " + backend.name(), backend::close);
  }

  /**
   * Opens a device.
   *
   * @param name "cpu" (native kernels), "cuda" (native kernels for an NVIDIA card; callers' memory
   *     is copied there and back), "reference" (plain Java, slow and exact, needs no native
   *     library) or "auto" (the first of cuda, cpu and reference that can be had; plain Java is
   *     warned of by this class's {@link System.Logger}, and is never taken in the stead of a
   *     library that {@code panamoe.native.path} names)
   * @param threads 0: one per processor; results do not depend on it
   * @throws PanamoeException if there is no such device here; the message says what was looked for
   */
  public static Device open(String name, int threads) {
    Device device =
        PanamoeException.translating(
            () -> new Device(Backends.open(Argument.notNull("name", name), threads)));
    if (name.equals("auto")) {
      Backends.nativeUnavailable()
          .ifPresent(
              why -> LOGGER.log(Level.WARNING, "computing in plain Java, which is slow: " + why));
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

  /**
   * Closes the device and all that was made on it. Idempotent.
   *
   * @throws IllegalStateException if a call of the device is under way; nothing is closed then. Or
   *     if a native call of the caller's own has the memory of a parameter; what could be closed is
   *     closed then, a second call closes the rest
   */
  @Override
  public void close() {
    lifetime.close();
  }

  Backend backend() {
    return backend;
  }

  Lifetime lifetime() {
    return lifetime;
  }
}
