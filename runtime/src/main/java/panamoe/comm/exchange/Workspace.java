package panamoe.comm.exchange;

import java.lang.foreign.MemorySegment;
import panamoe.comm.Call;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorMemory;
import panamoe.tensor.TensorScope;

/**
 * Rows on their way: memory that grows to what is needed and stays from call to call. Used by one
 * thread at a time.
 */
final class Workspace implements AutoCloseable {
  /** Who needs room at the same time. */
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

  /** What a call's tensors of this workspace belong to. */
  TensorScope scope() {
    return TensorScope.confined(memory);
  }

  /** So many rows like those of {@code like}, contents undefined; until the slot is taken again. */
  Tensor take(TensorScope scope, Slot slot, Tensor like, long rows) {
    long bytes = Math.multiplyExact(rows, Call.rowBytes(like));
    MemorySegment block = blocks[slot.ordinal()];
    if (block == null || block.byteSize() < bytes) {
      free(slot);
      block = memory.allocate(Math.max(64, bytes + bytes / 4));
      blocks[slot.ordinal()] = block;
    }
    long[] shape = like.shape();
    shape[0] = rows;
    return scope.wrap(block, like.dtype(), shape);
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
