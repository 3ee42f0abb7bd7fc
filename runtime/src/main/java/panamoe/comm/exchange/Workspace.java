package panamoe.comm.exchange;

import java.lang.foreign.MemorySegment;
import panamoe.comm.CollectiveCall;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorMemory;
import panamoe.tensor.TensorScope;

/**
 * Buffers for rows in transit. They grow to the largest request and are kept between calls. Used by
 * one thread at a time.
 */
final class Workspace implements AutoCloseable {
  /** Buffers that are in use at the same time. */
  enum Slot {
    PACKED,
    BETWEEN,
    REGROUPED,
    UNSORTED,
    SHARE,
    SHARE_ARRIVED,
    GATHERED
  }

  private final TensorMemory memory;
  private final MemorySegment[] blocks = new MemorySegment[Slot.values().length];

  Workspace(TensorMemory memory) {
    this.memory = memory;
  }

  /** The scope of the tensors that one call takes from this workspace. */
  TensorScope scope() {
    return TensorScope.confined(memory);
  }

  /**
   * A tensor of {@code rows} rows with the row shape of {@code like} and undefined contents, valid
   * until the slot is taken again.
   */
  Tensor take(TensorScope scope, Slot slot, Tensor like, long rows) {
    long bytes = Math.multiplyExact(rows, CollectiveCall.rowBytes(like));
    MemorySegment block = blocks[slot.ordinal()];
    if (block == null || block.byteSize() < bytes) {
      free(slot);
      block = memory.allocate(Math.max(64, bytes + bytes / 4));
      blocks[slot.ordinal()] = block;
    }
    long[] shape = like.shape();
    shape[0] = rows;
    return scope.over(block, like.dtype(), shape);
  }

  @Override
  public void close() {
    for (Slot slot : Slot.values()) {
      free(slot);
    }
  }

  private void free(Slot slot) {
    MemorySegment block = blocks[slot.ordinal()];
    if (block != null) {
      blocks[slot.ordinal()] = null;
      memory.free(block);
    }
  }
}
