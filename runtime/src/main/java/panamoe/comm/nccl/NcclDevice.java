package panamoe.comm.nccl;

import java.lang.foreign.MemorySegment;
import panamoe.tensor.DType;
import panamoe.tensor.TensorMemory;

/**
 * What {@link NcclCommunicator} needs of the device that holds a rank's tensors. Used by the rank's
 * thread.
 */
public interface NcclDevice {
  /**
   * The queue that NCCL's work goes into, a {@code cudaStream_t}; null pointer for the device's
   * default one.
   */
  MemorySegment stream();

  /** Whether everything put into the stream is done; never waits ({@code cudaStreamQuery}). */
  boolean finished();

  /** Where the terms of sums are received: memory of the device. */
  TensorMemory memory();

  /**
   * Puts a sum into the stream: element by element in the order of the terms, bfloat16 in float32
   * and rounded once.
   *
   * @param terms arrays of {@code count} elements on the device; the target may be one of them
   */
  void sum(DType dtype, long count, MemorySegment[] terms, MemorySegment target);
}
