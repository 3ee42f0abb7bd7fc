package panamoe.backend;

import java.lang.foreign.MemorySegment;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.tensor.TensorDevice;

/**
 * The kernels of one device and one stream: the C ABI in Java. Every method checks its arguments
 * and throws {@link IllegalArgumentException} naming the argument; other failures of a native
 * backend are {@code NativeException}s. A backend is used by one thread at a time; its memory may
 * be used by any.
 */
public interface Backend
    extends TensorDevice,
        ElementwiseKernels,
        EmbeddingKernels,
        NormKernels,
        AttentionKernels,
        GemmKernels,
        GateKernels,
        BalanceKernels,
        DispatchKernels,
        ExpertKernels,
        CombineKernels,
        LossKernels,
        OptimizerKernels,
        SampleKernels,
        AutoCloseable {

  /** "cpu", "cuda", "reference". */
  String name();

  /**
   * Whether calls return before their kernels have run. Kernels then access only memory of this
   * backend, not callers' memory that a scope wraps.
   */
  default boolean asynchronous() {
    return false;
  }

  /** Free bytes of the device's memory: the GPU's, or the host's, which other processes use too. */
  long memoryAvailable();

  /** Returns cached free memory to the system. */
  default void trim() {}

  /**
   * Refuses an allocation that exceeds the free memory. A system that overcommits would end the
   * process at the first use.
   *
   * @param what takes the bytes, in the plural
   * @throws OutOfMemoryError in one sentence
   */
  default void requireMemory(String what, double bytes) {
    if (bytes > memoryAvailable()) {
      trim();
      long available = memoryAvailable();
      if (bytes > available) {
        throw new OutOfMemoryError(
            Words.of(
                "%s take %s, and %s are available",
                what, Count.bytes(bytes), Count.bytes(available)));
      }
    }
  }

  /** Threads of the host that this backend may keep busy. */
  default int threads() {
    return 1;
  }

  /**
   * A second stream of this device with one host thread, for another Java thread. Its kernels work
   * on tensors of this backend. Close it before this backend.
   */
  Backend secondStream();

  /**
   * Runs {@code wait} in the thread that is about to wait for this backend. It may throw: so
   * failures of another library's work on the stream are reported.
   */
  default void beforeWaiting(Runnable wait) {}

  /**
   * Runs {@code work}, by which another library enqueues work in this backend's stream, perhaps
   * with kernels; a capture keeps it as one call.
   *
   * @param before runs before the work and before each replay of it
   */
  default void enqueue(Runnable before, Runnable work) {
    before.run();
    work.run();
  }

  /** Marks the end of the work so far, for {@link #waitFor}. */
  default long mark() {
    return 0;
  }

  /**
   * Makes later work of this stream wait for {@code other}'s work up to a mark. The host does not
   * wait.
   *
   * @param other a backend of the same device
   */
  default void waitFor(Backend other, long mark) {}

  /** Whether all work given to this backend is done. Does not wait; thread-safe. */
  default boolean finished() {
    return true;
  }

  /**
   * The {@code cudaStream_t}, for other libraries such as NCCL; lives as long as this backend.
   * Makes its GPU the calling thread's, so call this before each use of the stream.
   *
   * @throws UnsupportedOperationException unless this backend is {@link #asynchronous}
   */
  default MemorySegment nativeStream() {
    throw new UnsupportedOperationException(
        "backend " + name() + " has no stream that others can use");
  }

  /**
   * Runs {@code step} and captures its kernel calls. {@link KernelGraph#replay} makes the calls
   * again on the same tensors, without the Java code between them and without garbage.
   */
  KernelGraph capture(Runnable step);

  /** Frees the stream. Idempotent. Close tensors in this backend's memory first. */
  @Override
  void close();
}
