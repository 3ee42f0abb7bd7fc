package panamoe.comm.nccl;

import java.lang.foreign.MemorySegment;
import panamoe.tensor.DType;
import panamoe.tensor.TensorMemory;

/**
 * The operations that {@link NcclCommunicator} needs from the device of a rank's tensors. Used by
 * the rank's thread.
 */
public interface NcclDevice {
  /** The {@code cudaStream_t} for NCCL's work; a null pointer means the device's default stream. */
  MemorySegment stream();

  /** Whether all work in the stream is done, without waiting ({@code cudaStreamQuery}). */
  boolean finished();

  /** Device memory for the received terms of sums. */
  TensorMemory memory();

  /**
   * Enqueues an elementwise sum in the order of the terms; bfloat16 is added in float32 and rounded
   * once.
   *
   * @param terms arrays of {@code count} elements on the device; the target may alias one of them
   */
  void sum(DType dtype, long count, MemorySegment[] terms, MemorySegment target);
}
