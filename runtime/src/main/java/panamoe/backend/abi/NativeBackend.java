package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.backend.Backend;
import panamoe.backend.GraphCapture;
import panamoe.backend.HostMemory;
import panamoe.backend.KernelGraph;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeLibrary;
import panamoe.bindings.NativeMemory;
import panamoe.bindings.Status;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The kernels of the native library, on one device and one stream of it.
 *
 * <p>A refused argument is an {@link IllegalArgumentException} with the library's sentence, memory
 * that the device does not have an {@link OutOfMemoryError}, every other failure a {@link
 * panamoe.bindings.NativeException}. After {@link #close} every method but {@link #name}, {@link
 * #free} and {@link #close} throws {@link IllegalStateException}, and so does access to this
 * backend's memory.
 */
public final class NativeBackend implements Backend, NativeKernels, NativeMoeKernels {
  private final String name;
  private final long device;
  private final NativeStream stream;
  private final int threads;
  private final NativeBackend first; // the backend whose second stream this is, or null
  // The life of this backend's memory: a segment of a closed backend is refused by the JVM instead
  // of read.
  private final Arena arena = Arena.ofShared();
  private final GraphCapture<StreamCall> capture = new GraphCapture<>();
  private final boolean asynchronous;
  private volatile Runnable beforeWaiting = () -> {};

  private NativeBackend(String name, long device, int threads, NativeBackend first) {
    this.name = name;
    this.device = device;
    this.threads = threads;
    this.first = first;
    // Java's processor count respects the limits of a container; the library's does not.
    this.stream = NativeStream.create(device, threads());
    this.asynchronous = DeviceInfo.of(device).asynchronous();
  }

  /** Opens the first device. */
  public static NativeBackend open(String name, int threads) {
    return open(name, threads, 0);
  }

  /**
   * Opens a device of a backend of the library.
   *
   * @param name "cpu"; "cuda"; "simt", the emulation of "cuda" that tests run on
   * @param threads threads of the stream, 0 for one per processor; results do not depend on it
   * @param ordinal of the device, counted from 0
   * @throws IllegalArgumentException if there are not enough devices; the message says how many
   *     there are
   * @throws UnsatisfiedLinkError if the library cannot be loaded
   * @throws panamoe.bindings.NativeException if the backend is not available; the message says what
   *     is missing
   */
  public static NativeBackend open(String name, int threads, int ordinal) {
    NativeLibrary.ensureAvailable();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment called = arena.allocateFrom(name);
      long device =
          NativeStream.stored("moe_device_open", to -> Moe.moe_device_open(called, ordinal, to));
      try {
        return new NativeBackend(name, device, threads, null);
      } catch (RuntimeException | Error e) {
        Moe.moe_device_close(device);
        throw e;
      }
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int threads() {
    return threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
  }

  @Override
  public Backend secondStream() {
    requireOpen();
    return new NativeBackend(name, device, 1, this);
  }

  /** Properties of the device. */
  public DeviceInfo deviceInfo() {
    requireOpen();
    return DeviceInfo.of(device);
  }

  /** Bytes that the device's allocator holds. */
  public MemoryUsage memoryUsage() {
    requireOpen();
    return MemoryUsage.of(device);
  }

  /**
   * Installs a kernel compiled for the device. Calls that it fits run it instead of the built-in
   * kernel.
   *
   * @param image a cubin for the device's architecture, or PTX
   * @throws IllegalArgumentException if the image is not one for this device
   * @throws panamoe.bindings.NativeException on a backend that takes no kernels
   */
  public void install(KernelDescription kernel, byte[] image) {
    requireOpen();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment bytes = call.allocateFrom(ValueLayout.JAVA_BYTE, image);
      Status.check(
          Moe.moe_runtime_kernel_install(device, kernel.write(call), bytes, image.length),
          "moe_runtime_kernel_install");
    }
  }

  /**
   * The library reports a GPU's memory. It would not count the host's caches that can be dropped,
   * so that {@link HostMemory} reports the host's.
   */
  @Override
  public long memoryAvailable() {
    return asynchronous ? deviceInfo().memoryAvailable() : HostMemory.available();
  }

  @Override
  public void trim() {
    requireOpen();
    Status.check(Moe.moe_memory_trim(device), "moe_memory_trim");
  }

  @Override
  public MemorySegment allocate(long bytes) {
    return allocate(bytes, arena);
  }

  @Override
  public MemorySegment allocate(long bytes, Arena lifetime) {
    requireOpen();
    if (!asynchronous) {
      return NativeMemory.allocate(device, bytes, lifetime);
    }
    MemorySegment memory = NativeMemory.allocate(device, bytes);
    if (first != null) {
      try {
        waitFor(first, first.mark()); // its work may still use the memory, if it was freed there
      } catch (RuntimeException e) {
        free(memory);
        throw e;
      }
    }
    return memory;
  }

  /** Frees memory; does nothing after {@link #close}, which frees all. */
  @Override
  public void free(MemorySegment memory) {
    if (arena.scope().isAlive()) {
      NativeMemory.free(device, memory);
    }
  }

  @Override
  public void copyElements(Tensor from, Tensor to) {
    if (asynchronous) {
      copy(from, to);
    } else {
      Backend.super.copyElements(from, to);
    }
  }

  @Override
  public long packedBytes(DType dtype, long... shape) {
    requireOpen();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment sizes = call.allocateFrom(ValueLayout.JAVA_LONG, shape);
      return NativeStream.stored(
          "moe_gemm_packed_bytes",
          to -> Moe.moe_gemm_packed_bytes(device, dtype.code(), shape.length, sizes, to));
    }
  }

  @Override
  public void synchronize() {
    requireOpen();
    beforeWaiting.run();
    stream.synchronize();
  }

  @Override
  public void beforeWaiting(Runnable wait) {
    beforeWaiting = wait;
  }

  @Override
  public long mark() {
    requireOpen();
    return asynchronous ? stream.mark() : 0;
  }

  @Override
  public void waitFor(Backend other, long mark) {
    requireOpen();
    if (asynchronous && other != this) {
      stream.waitFor(((NativeBackend) other).stream, mark);
    }
  }

  @Override
  public boolean finished() {
    requireOpen();
    return stream.finished();
  }

  @Override
  public MemorySegment nativeStream() {
    requireOpen();
    return asynchronous ? stream.ofDriver() : Backend.super.nativeStream();
  }

  /** False on a GPU, even with managed memory: copies must be ordered with kernels. */
  @Override
  public boolean onHost() {
    return !asynchronous;
  }

  @Override
  public void write(MemorySegment host, MemorySegment memory) {
    requireOpen();
    if (asynchronous) {
      NativeMemory.write(stream.handle(), host, memory);
    } else {
      Backend.super.write(host, memory);
    }
  }

  @Override
  public void read(MemorySegment memory, MemorySegment host) {
    requireOpen();
    if (asynchronous) {
      beforeWaiting.run();
      NativeMemory.read(stream.handle(), memory, host);
    } else {
      Backend.super.read(memory, host);
    }
  }

  @Override
  public void zero(MemorySegment memory) {
    requireOpen();
    NativeMemory.zero(stream.handle(), memory);
  }

  /** Whether kernels run behind the caller's back, on memory of this backend alone. */
  @Override
  public boolean asynchronous() {
    return asynchronous;
  }

  @Override
  public KernelGraph capture(Runnable step) {
    requireOpen();
    GraphCapture.CallList<StreamCall> calls = capture.capture(step);
    return asynchronous ? new NativeGraph(calls, stream.handle()) : calls;
  }

  @Override
  public void enqueue(Runnable before, Runnable work) {
    requireOpen();
    capture.launch(new StreamCall.Foreign(before, work));
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
      if (first != null) {
        stream.destroy();
      } else {
        Moe.moe_device_close(device); // with its streams and its memory
      }
    }
  }

  @Override
  public void launch(String function, Object... arguments) {
    requireOpen();
    capture.launch(new NativeCall(function, stream.handle(), arguments));
  }

  private void requireOpen() {
    if (!arena.scope().isAlive()) {
      throw new IllegalStateException("backend " + name + " is closed");
    }
  }
}
