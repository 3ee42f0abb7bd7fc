package panamoe.comm.nccl;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import panamoe.checkpoint.ArenaMemory;
import panamoe.comm.Reduction;
import panamoe.tensor.DType;
import panamoe.tensor.TensorDevice;
import panamoe.tensor.TensorMemory;

/** The CPU as the device of NCCL's stand-in library {@code native/test/nccl_threads}. */
final class CpuNcclDevice implements NcclDevice {
  static final Path LIBRARY =
      Path.of(
          System.getProperty(
              "panamoe.nccl.threads",
              Path.of("..", "native", "build", "release", "libnccl_threads.so")
                  .toAbsolutePath()
                  .toString()));

  private static final MethodHandle FAIL_NEXT =
      function("nccl_threads_fail_next", FunctionDescriptor.ofVoid());

  private static final MethodHandle BE_VERSION =
      function("nccl_threads_be_version", FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT));

  /** Makes the next operation of any rank fail with an error of its communicator. */
  static void failNext() {
    try {
      FAIL_NEXT.invokeExact();
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Makes the stand-in claim to be a version, such as 23000 for 2.30.0. */
  static void beVersion(int version) {
    try {
      BE_VERSION.invokeExact(version);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public MemorySegment stream() {
    return MemorySegment.NULL;
  }

  /**
   * The stand-in's communicators report progress until their work is done, so the stream has
   * nothing more to wait for.
   */
  @Override
  public boolean finished() {
    return true;
  }

  @Override
  public TensorMemory memory() {
    return new ArenaMemory();
  }

  @Override
  public void enqueue(Runnable before, Runnable work) {
    before.run();
    work.run();
  }

  @Override
  public void beforeWaiting(Runnable wait) {}

  @Override
  public NcclDevice on(TensorDevice stream) {
    return this;
  }

  @Override
  public void sum(
      DType dtype, long count, MemorySegment[] terms, MemorySegment scratch, MemorySegment target) {
    Reduction.sum(dtype, count, terms, target);
  }

  @SuppressWarnings("restricted") // The stand-in's own functions, which have no binding.
  private static MethodHandle function(String name, FunctionDescriptor type) {
    SymbolLookup library = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
    return Linker.nativeLinker().downcallHandle(library.findOrThrow(name), type);
  }
}
