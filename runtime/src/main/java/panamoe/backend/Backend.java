package panamoe.backend;

import java.lang.foreign.MemorySegment;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.tensor.TensorDevice;

/**
 * The kernels of one device and one stream: what the C ABI offers, in Java. Every method checks its
 * arguments and throws {@link IllegalArgumentException} naming the argument; other failures of a
 * native backend are {@code NativeException}s. A backend is used by one thread at a time; its
 * memory may be used by any.
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
   * Whether kernels run behind the caller's back, on memory of this backend alone: not on what a
   * scope wraps.
   */
  default boolean asynchronous() {
    return false;
  }

  /**
   * Bytes that the memory behind this backend could still give: the GPU's, or the host's, which
   * others use too.
   */
  long memoryAvailable();

  /** Gives memory that is kept for reuse back to the system. */
  default void trim() {}

  /**
   * Refuses what would not fit into the memory that is free now: a system that promises more than
   * it has ends the process when that is used.
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
   * A second stream of the same device with one thread, for another thread to use beside this one:
   * its kernels work on tensors of this backend. To be closed before this backend.
   */
  Backend secondStream();

  /**
   * Runs {@code wait} whenever the host is about to wait for this backend, in the thread that is:
   * whoever gave its stream work of another library may throw there what became of it.
   */
  default void beforeWaiting(Runnable wait) {}

  /** A mark of the work given so far, for {@link #waitFor}. */
  default long mark() {
    return 0;
  }

  /**
   * Lets work given from now on begin when {@code other} has done its work up to a mark. The host
   * waits for nothing.
   *
   * @param other a backend of the same device
   */
  default void waitFor(Backend other, long mark) {}

  /** Whether all work given to this backend is done; waits for nothing. Any thread may ask. */
  default boolean finished() {
    return true;
  }

  /**
   * The stream as other libraries, such as NCCL, know it: a {@code cudaStream_t} that lives as long
   * as this backend. Makes its GPU the calling thread's. Ask for it whenever the stream is about
   * to be given work.
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

  /**
   * Frees the stream. Idempotent. Tensors allocated from this backend's memory must be closed
   * before.
   */
  @Override
  void close();
}
