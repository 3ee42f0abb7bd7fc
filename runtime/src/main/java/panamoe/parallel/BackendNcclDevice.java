package panamoe.parallel;

import java.lang.foreign.MemorySegment;
import panamoe.backend.Backend;
import panamoe.comm.nccl.NcclDevice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;
import panamoe.tensor.TensorMemory;
import panamoe.tensor.TensorScope;

/** The GPU of a backend. NCCL's work goes into the backend's stream, in order with its kernels. */
public record BackendNcclDevice(Backend backend) implements NcclDevice {
  /**
   * Makes the backend's GPU the calling thread's current device. NCCL uses the current device, so
   * the same thread must open the communicator.
   *
   * @throws UnsupportedOperationException if the backend is not a GPU
   */
  public BackendNcclDevice {
    backend.nativeStream();
  }

  @Override
  public MemorySegment stream() {
    return backend.nativeStream();
  }

  @Override
  public void enqueue(Runnable before, Runnable work) {
    backend.enqueue(before, work);
  }

  @Override
  public void beforeWaiting(Runnable wait) {
    backend.beforeWaiting(wait);
  }

  @Override
  public NcclDevice on(TensorDevice stream) {
    return new BackendNcclDevice((Backend) stream);
  }

  @Override
  public boolean finished() {
    return backend.finished();
  }

  @Override
  public TensorMemory memory() {
    return backend;
  }

  @Override
  public void sum(
      DType dtype, long count, MemorySegment[] terms, MemorySegment scratch, MemorySegment target) {
    if (count == 0) {
      return;
    }
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor sum = scope.over(scratch, DType.FLOAT32, count);
      backend.cast(scope.over(terms[0], dtype, count), sum);
      for (int i = 1; i < terms.length; i++) {
        backend.add(1, sum, 1, scope.over(terms[i], dtype, count), sum);
      }
      backend.cast(sum, scope.over(target, dtype, count));
    }
  }
}
