package panamoe.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.UnaryOperator;
import panamoe.backend.Backend;
import panamoe.backend.abi.NativeBackend;
import panamoe.bindings.NativeLibrary;
import panamoe.comm.Communicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.nccl.NcclCommunicator;
import panamoe.parallel.BackendNcclDevice;

/**
 * Ranks with an emulated GPU each, and the stand-in for NCCL between them ({@code
 * native/test/nccl_threads}), from {@link #begin} to {@link #end} of a test.
 */
@SuppressWarnings(
    "restricted") // Functions of the emulation, the stand-in and libc, without binding.
public final class EmulatedGpus {
  /** Two nodes of two ranks. */
  public static final int[] NODE_BY_NODE = {0, 0, 1, 1};

  private static final String PROPERTY = "panamoe.nccl.path";
  private static final Duration PATIENCE = Duration.ofMinutes(2);
  private static final Path LIBRARY =
      Path.of(
          System.getProperty(
              "panamoe.nccl.threads",
              Path.of("..", "native", "build", "release", "libnccl_threads.so")
                  .toAbsolutePath()
                  .toString()));

  /** When streams do their work. */
  public enum Streams {
    AT_ONCE,
    /** When the host waits for them. */
    AWAITED,
    /** After the host has gone on, so that a missing wait changes the bits. */
    LATE
  }

  /** What one rank does. */
  @FunctionalInterface
  public interface Body<T> {
    T run(Communicator nccl, Backend gpu) throws Exception;
  }

  /**
   * Calls that the emulation has counted in this process.
   *
   * @param launches kernels, graphs and copies on a GPU
   * @param waits of the host for a GPU
   * @param copies between host and GPU
   */
  public record Work(long launches, long waits, long copies) {
    public Work since(Work before) {
      return new Work(launches - before.launches, waits - before.waits, copies - before.copies);
    }
  }

  private EmulatedGpus() {}

  /** Skips the test unless the emulation is under test. */
  public static void begin() {
    assumeTrue(System.getProperty("panamoe.test.backends", "simt").contains("simt"));
    System.setProperty(PROPERTY, LIBRARY.toString());
    synchronous(false);
  }

  public static void end() {
    System.clearProperty(PROPERTY);
    streams(Streams.AT_ONCE);
    ncclIsLate(0);
    synchronous(true);
  }

  public static void streams(Streams when) {
    call(emulation("simt_hold", FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT)), when.ordinal());
  }

  /**
   * Makes NCCL's calls return before their work is enqueued, and report progress any number of
   * times; 0 ends it.
   */
  public static void ncclIsLate(int seed) {
    call(standIn("nccl_threads_be_late", ValueLayout.JAVA_INT), seed);
  }

  /** Runs a world of threads, which {@code nodes} has the node of. */
  public static <T> List<T> run(int[] nodes, Body<T> body) {
    return run(nodes, UnaryOperator.identity(), body);
  }

  /**
   * Like {@link #run(int[], Body)}.
   *
   * @param control makes the communicator of the hosts from the world of threads
   */
  public static <T> List<T> run(int[] nodes, UnaryOperator<Communicator> control, Body<T> body) {
    return ThreadWorld.of(nodes.length)
        .on(nodes)
        .timeout(PATIENCE)
        .run(
            world -> {
              try (NativeBackend gpu = NativeBackend.open("simt", 1, world.rank())) {
                Communicator nccl =
                    NcclCommunicator.open(
                        control.apply(world), new BackendNcclDevice(gpu), PATIENCE);
                T seen = body.run(nccl, gpu);
                nccl.close();
                return seen;
              }
            });
  }

  /** Makes the next call of a function of CUDA fail with a number of {@code cudaError}. */
  public static void failNext(String function, int error) {
    try (Arena arena = Arena.ofConfined()) {
      FunctionDescriptor type =
          FunctionDescriptor.ofVoid(
              ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
      call(emulation("simt_fail", type), arena.allocateFrom(function), error, 0);
    }
  }

  /** The number of messages between GPUs so far, and their bytes. */
  public static long[] messages() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment counts = arena.allocate(ValueLayout.JAVA_LONG, 2);
      call(standIn("nccl_threads_messages", ValueLayout.ADDRESS), counts);
      return counts.toArray(ValueLayout.JAVA_LONG);
    }
  }

  /** What the emulation has counted so far. */
  public static Work work() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment counts = arena.allocate(ValueLayout.JAVA_LONG, 3);
      call(emulation("simt_work", FunctionDescriptor.ofVoid(ValueLayout.ADDRESS)), counts);
      return new Work(
          counts.getAtIndex(ValueLayout.JAVA_LONG, 0),
          counts.getAtIndex(ValueLayout.JAVA_LONG, 1),
          counts.getAtIndex(ValueLayout.JAVA_LONG, 2));
    }
  }

  /** The number of graphs of this process, captured and executable ones. */
  public static int graphs() {
    return (int) call(emulation("simt_graphs", FunctionDescriptor.of(ValueLayout.JAVA_INT)));
  }

  /** Makes a CUDA function fail once, after {@code skip} more calls, with this cudaError_t. */
  public static void fail(String function, int error, int skip) {
    FunctionDescriptor type =
        FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
    try (Arena arena = Arena.ofConfined()) {
      call(emulation("simt_fail", type), arena.allocateFrom(function), error, skip);
    }
  }

  /** Whether new streams wait for each kernel, the emulation's default. */
  public static void synchronous(boolean waits) {
    try (Arena arena = Arena.ofConfined()) {
      Object refused =
          call(
              Linker.nativeLinker()
                  .downcallHandle(
                      Linker.nativeLinker().defaultLookup().findOrThrow("setenv"),
                      FunctionDescriptor.of(
                          ValueLayout.JAVA_INT,
                          ValueLayout.ADDRESS,
                          ValueLayout.ADDRESS,
                          ValueLayout.JAVA_INT)),
              arena.allocateFrom("PANAMOE_CUDA_SYNCHRONOUS"),
              arena.allocateFrom(waits ? "1" : "0"),
              1);
      assertEquals(0, refused);
    }
  }

  private static MethodHandle standIn(String function, MemoryLayout parameter) {
    return Linker.nativeLinker()
        .downcallHandle(
            SymbolLookup.libraryLookup(LIBRARY, Arena.global()).findOrThrow(function),
            FunctionDescriptor.ofVoid(parameter));
  }

  private static MethodHandle emulation(String function, FunctionDescriptor type) {
    Path library = NativeLibrary.file().orElseThrow().resolveSibling("libpanamoe_simt.so");
    return Linker.nativeLinker()
        .downcallHandle(
            SymbolLookup.libraryLookup(library, Arena.global()).findOrThrow(function), type);
  }

  private static Object call(MethodHandle function, Object... arguments) {
    try {
      return function.invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
