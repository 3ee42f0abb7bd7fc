package panamoe.harness;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.bindings.NativeException;
import panamoe.harness.help.OptionGroup;
import panamoe.io.Words;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options of every command: {@code @Mixin SharedOptions shared}. */
@OptionGroup("Machine and output")
public final class SharedOptions {
  /** The backend to compute on. */
  public enum DeviceChoice {
    /** The native kernels. */
    CPU,
    /** The native kernels for NVIDIA GPUs. */
    CUDA,
    /** The CUDA kernels emulated on the CPU, for tests without a GPU; slower than cpu. */
    SIMT,
    /** Plain Java in double precision: slow, the reference for all others. */
    REFERENCE,
    /** The fastest available backend. */
    AUTO
  }

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      defaultValue = "auto",
      description = {
        "cpu (native kernels), cuda (for an NVIDIA GPU), reference (plain Java, slow), simt (cuda's kernels emulated "
            + "on the CPU, slower still) or auto: cuda where it can be had, else cpu, else reference. Default: "
            + "${DEFAULT-VALUE}."
      })
  private DeviceChoice device;

  private int threads; // 0 for one per processor

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
    if (threads < 1 || threads > Backends.MOST_THREADS) {
      throw usage(
          "Invalid value for option '--threads': %d is not in 1..%d",
          threads, Backends.MOST_THREADS);
    }
    this.threads = threads;
  }

  public DeviceChoice device() {
    return device;
  }

  /** The command with these options. */
  public CommandSpec command() {
    return command;
  }

  /** Where results are printed. */
  public PrintWriter out() {
    return command.commandLine().getOut();
  }

  /** Where notes and warnings are printed. */
  public PrintWriter err() {
    return command.commandLine().getErr();
  }

  /** Prints a note, by {@link Words#of}. */
  public void note(String pattern, Object... values) {
    err().println(Words.of(pattern, values));
  }

  /**
   * Opens the requested backend; the caller closes it. Prints a note if it is plain Java.
   *
   * @throws ParameterException if it is not available on this machine
   */
  public Backend open() {
    return open(1);
  }

  /**
   * Free bytes of the requested device, without opening a backend.
   *
   * @throws ParameterException if it is not available on this machine
   * @throws UnsatisfiedLinkError if the native library cannot be loaded and plain Java may not
   *     replace it
   */
  public long memoryAvailable() {
    try (Backend backend = openWith(1)) {
      return backend.memoryAvailable();
    }
  }

  /** Like {@link #open()}, for one of several ranks that share the threads. */
  public Backend open(int ranks) {
    Backend backend = openWith(ranks == 1 ? threads : Math.max(1, threadCount() / ranks));
    if (device == DeviceChoice.AUTO) {
      Backends.nativeUnavailable()
          .ifPresent(why -> err().println("computing in plain Java, which is slow: " + why));
    }
    return backend;
  }

  private Backend openWith(int threads) {
    try {
      return Backends.open(deviceName(), threads);
    } catch (NativeException e) {
      throw refused(": " + e.reason(), e);
    }
  }

  /**
   * Opens one of this machine's GPUs; the caller closes it. {@code auto} means {@code cuda}.
   *
   * @param gpu counted from 0
   * @throws ParameterException if the device is not a GPU, is not available, or there are too few
   *     GPUs; the message is one sentence
   */
  public Backend openGpu(int gpu) {
    String name =
        switch (device) {
          case AUTO, CUDA -> "cuda";
          case SIMT -> "simt";
          case CPU, REFERENCE ->
              throw refused(" is not a GPU, and every rank that NCCL joins needs one", null);
        };
    try {
      return Backends.open(name, 0, gpu);
    } catch (IllegalArgumentException e) {
      throw refused(": rank " + gpu + " of this machine needs its own GPU: " + e.getMessage(), e);
    } catch (NativeException e) {
      throw refused(": " + e.reason(), e);
    }
  }

  /**
   * Evaluates {@code options}.
   *
   * @throws ParameterException with the message of its IllegalArgumentException
   */
  public <T> T checked(Supplier<T> options) {
    try {
      return options.get();
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  /** Runs a check; otherwise like {@link #checked(Supplier)}. */
  public void checked(Runnable check) {
    checked(
        () -> {
          check.run();
          return null;
        });
  }

  /**
   * Refuses options that break a rule.
   *
   * @throws ParameterException with the sentence, by {@link Words#of}, unless the rule holds
   */
  public void require(boolean holds, String pattern, Object... values) {
    if (!holds) {
      throw usage(pattern, values);
    }
  }

  /** An exception for wrong options, with a sentence by {@link Words#of}. */
  public ParameterException usage(String pattern, Object... values) {
    return new ParameterException(command.commandLine(), Words.of(pattern, values));
  }

  private ParameterException refused(String why, Throwable cause) {
    return new ParameterException(command.commandLine(), "--device " + deviceName() + why, cause);
  }

  private String deviceName() {
    return device.name().toLowerCase(Locale.ROOT);
  }

  /** The device and the threads, as options for another command. */
  public List<String> ofMachine() {
    List<String> options = new ArrayList<>(List.of("--device", deviceName()));
    if (threads > 0) {
      options.addAll(List.of("--threads", Integer.toString(threads)));
    }
    return options;
  }

  /** The number of threads, 1 or more. */
  public int threadCount() {
    return threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
  }

  public long seed() {
    return seed;
  }

  /** Whether to print the result as JSON. */
  public boolean json() {
    return json;
  }
}
