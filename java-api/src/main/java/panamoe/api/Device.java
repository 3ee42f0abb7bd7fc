package panamoe.api;

import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.Locale;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.api.internal.OneVersion;
import panamoe.backend.Backend;
import panamoe.backend.Backends;

/**
 * A device that layers and models run on, with its threads.
 *
 * <p>Only one thread at a time may call a device and the layers and models created on it. A
 * concurrent call, and any use after close, throws {@link IllegalStateException}. Different threads
 * may call in sequence. Open one device per computing thread.
 */
public final class Device implements AutoCloseable {
  static {
    RequiredJava.check();
    Access.offer(Device.class, device -> new Access(device.backend, device.lifetime, null));
  }

  private static final System.Logger LOGGER = System.getLogger(Device.class.getName());

  private final Backend backend;
  private final Lifetime lifetime;

  private Device(Backend backend) {
    this.backend = backend;
    this.lifetime = Lifetime.ofDevice("device " + backend.name(), backend::close);
  }

  /** The kinds of devices. */
  public enum Type {
    /**
     * The first of {@link #CUDA}, {@link #CPU} and {@link #REFERENCE} that is available. The
     * device's {@link System.Logger} warns of plain Java, which never replaces a library that
     * {@code panamoe.native.path} names.
     */
    AUTO,
    /** Native kernels. */
    CPU,
    /** Native kernels for an NVIDIA GPU; callers' memory is copied to it and back. */
    CUDA,
    /** Plain Java, slow and exact, without a native library. */
    REFERENCE
  }

  /**
   * Opens a device; see below.
   *
   * @throws PanamoeException if the type is null or not available; the message lists what was tried
   */
  public static Device open(Type type, int threads) {
    Failures.run(() -> Argument.notNull("type", type));
    return open(type.name().toLowerCase(Locale.ROOT), threads);
  }

  /**
   * Opens a device by the name that a setting of a program has.
   *
   * @param name a {@link Type} in lower case, such as "auto"
   * @param threads 0 to 1024; 0 for one per processor; results do not depend on it
   * @throws PanamoeException if the device is not available; the message lists what was tried
   * @throws IncompatibleClassChangeError if jars of Panamoe have different versions; the message
   *     names them
   */
  public static Device open(String name, int threads) {
    OneVersion.check(Device.class.getClassLoader());
    Device device =
        Failures.translating(
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
   * Closes the device and the layers and models created on it. Idempotent.
   *
   * @throws IllegalStateException if a call of the device is running; then nothing is closed. Also
   *     if a native call of the caller uses a parameter's memory; then everything else is closed,
   *     and a second call closes the rest
   */
  @Override
  public void close() {
    lifetime.close();
  }

  /**
   * Closes like {@link #close} after another thread's call has returned; meanwhile further calls
   * throw {@link IllegalStateException}. Any thread may call it, outside a call of the device.
   *
   * @param patience maximum wait
   * @throws PanamoeException.BadArgument if it is null
   * @throws IllegalStateException like {@link #close}, if the call still runs after {@code
   *     patience} or this thread is interrupted; its interrupt status stays set
   */
  public void closeWhenIdle(Duration patience) {
    lifetime.closeWhenIdle(patience);
  }

  Backend backend() {
    return backend;
  }

  Lifetime lifetime() {
    return lifetime;
  }

  /**
   * The lifetime of a device argument.
   *
   * @throws PanamoeException.BadArgument if it is null
   */
  static Lifetime lifetimeOf(Device device) {
    return Failures.translating(() -> Argument.notNull("device", device)).lifetime;
  }
}
