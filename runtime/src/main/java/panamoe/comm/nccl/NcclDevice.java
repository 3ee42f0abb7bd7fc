package panamoe.comm.nccl;

import java.lang.foreign.MemorySegment;
import panamoe.tensor.DType;
import panamoe.tensor.TensorDevice;
import panamoe.tensor.TensorMemory;

/**
 * The operations that {@link NcclCommunicator} needs from the device of a rank's tensors. Used by
 * the rank's thread.
 */
public interface NcclDevice {
  /**
   * The {@code cudaStream_t} for NCCL's work; a null pointer means the device's default stream.
   * Called whenever NCCL is about to enqueue work.
   */
  MemorySegment stream();

  /**
   * Runs {@code work}, which enqueues NCCL's work in the stream, perhaps once more for each graph
   * that captures it.
   *
   * @param before runs before the work, and before each replay of it
   */
  void enqueue(Runnable before, Runnable work);

  /** Whether all work in the stream is done, without waiting ({@code cudaStreamQuery}). */
  boolean finished();

  /**
   * Runs {@code wait} whenever the host is about to wait for the device. It throws if NCCL's work
   * has failed; without it the host would wait forever for a lost rank.
   */
  void beforeWaiting(Runnable wait);

  /**
   * This GPU with another stream.
   *
   * @param stream a device of the same memory
   */
  NcclDevice on(TensorDevice stream);

  /** Device memory for the received terms of sums. */
  TensorMemory memory();

  /**
   * Enqueues an elementwise sum in the order of the terms; bfloat16 is added in float32 and rounded
   * once.
   *
   * @param terms arrays of {@code count} elements on the device; the target may alias one of them
   * @param scratch room for {@code count} float32 on the device, with the terms' alignment
   */
  void sum(
      DType dtype, long count, MemorySegment[] terms, MemorySegment scratch, MemorySegment target);
}
