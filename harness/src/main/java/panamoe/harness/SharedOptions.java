package panamoe.harness;

import java.util.Locale;
import java.util.function.Supplier;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.bindings.NativeException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options that every command takes: {@code @Mixin SharedOptions shared}. */
public final class SharedOptions {
  /** Which backend computes. */
  public enum DeviceChoice {
    /** The native kernels. */
    CPU,
    /** The native kernels for NVIDIA cards. */
    CUDA,
    /**
     * CUDA's kernels emulated on the CPU: how they are tested without a card, many times slower
     * than cpu.
     */
    SIMT,
    /** Plain Java in double precision: slow, and the yardstick of all others. */
    REFERENCE,
    /** The fastest that this machine has. */
    AUTO
  }

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      defaultValue = "auto",
      description = {
        "cpu (native kernels), cuda (for an NVIDIA card), reference (plain Java, slow), simt (cuda's kernels emulated "
            + "on the CPU, slower still) or auto: cuda where it can be had, else cpu, else reference. Default: "
            + "${DEFAULT-VALUE}."
      })
  private DeviceChoice device;

  private int threads;

  @Option(
      names = "--seed",
      paramLabel = "S",
      defaultValue = "1",
      description =
          "Seed of everything random; the same seed gives the same bits. Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Option(names = "--json", description = "Print the result as JSON, of several one object a line.")
  private boolean json;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description =
          "Threads of the native kernels; results do not depend on it. Default: one per processor.")
  private void setThreads(int threads) {
    if (threads < 1 || threads > 1024) {
      throw new ParameterException(
          command.commandLine(),
          String.format(
              Locale.ROOT, "Invalid value for option '--threads': %d is not in 1..1024", threads));
    }
    this.threads = threads;
  }

  public DeviceChoice device() {
    return device;
  }

  /**
   * Opens the backend that was asked for, to be closed by the caller; says so where it is not a
   * native one.
   *
   * @throws ParameterException if it cannot be had here
   */
  public Backend open() {
    return open(1);
  }

  /**
   * Free bytes of the device that was asked for, before anything is made for it.
   *
   * @throws ParameterException if it cannot be had here
   * @throws UnsatisfiedLinkError if the native library cannot be loaded and nothing may stand in
   *     for it
   */
  public long memoryAvailable() {
    try (Backend backend = openWith(1)) {
      return backend.memoryAvailable();
    }
  }

  /** As {@link #open()}, for one of several ranks that divide the threads among them. */
  public Backend open(int ranks) {
    if (device == DeviceChoice.AUTO) {
      Backends.nativeUnavailable()
          .ifPresent(
              why ->
                  command
                      .commandLine()
                      .getErr()
                      .println("computing in plain Java, which is slow: " + why));
    }
    int all = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
    return openWith(ranks == 1 ? threads : Math.max(1, all / ranks));
  }

  private Backend openWith(int threads) {
    try {
      return Backends.open(device.name().toLowerCase(Locale.ROOT), threads);
    } catch (NativeException e) {
      throw refused(": " + e.getMessage(), e);
    }
  }

  /**
   * Opens one of this machine's cards, to be closed by the caller; {@code auto} stands for {@code
   * cuda}.
   *
   * @param card counted from 0
   * @throws ParameterException in one sentence, if the device is no card, cannot be had here, or is
   *     not there so often
   */
  public Backend openCard(int card) {
    String name =
        switch (device) {
          case AUTO, CUDA -> "cuda";
          case SIMT -> "simt";
          case CPU, REFERENCE ->
              throw refused(" is no card, and every rank that NCCL joins needs one", null);
        };
    try {
      return Backends.open(name, 0, card);
    } catch (IllegalArgumentException e) {
      throw refused(
          ": rank " + card + " of this machine needs a card of its own: " + e.getMessage(), e);
    } catch (NativeException e) {
      throw refused(": " + e.getMessage(), e);
    }
  }

  /**
   * What the options make together.
   *
   * @throws ParameterException with the words of the IllegalArgumentException by which they are
   *     refused
   */
  public <T> T checked(Supplier<T> options) {
    try {
      return options.get();
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  /** As above, of a check. */
  public void checked(Runnable check) {
    checked(
        () -> {
          check.run();
          return null;
        });
  }

  private ParameterException refused(String why, Throwable cause) {
    String name = device.name().toLowerCase(Locale.ROOT);
    return new ParameterException(command.commandLine(), "--device " + name + why, cause);
  }

  /** Threads asked for; 0 stands for one per processor. */
  public int threads() {
    return threads;
  }

  public long seed() {
    return seed;
  }

  /** Whether the result is wanted as JSON. */
  public boolean json() {
    return json;
  }
}
