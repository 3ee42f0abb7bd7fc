package panamoe.comm.exchange;

import java.lang.foreign.MemorySegment;
import panamoe.comm.CollectiveCall;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;
import panamoe.tensor.TensorScope;

/**
 * Buffers for rows in transit, and the device that moves rows between them. They grow to the
 * largest request and are kept between calls. Used by one thread at a time.
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

  private final TensorDevice device;
  private final MemorySegment[] blocks = new MemorySegment[Slot.values().length];

  Workspace(TensorDevice device) {
    this.device = device;
  }

  /** The scope of the tensors that one call takes from this workspace. */
  TensorScope scope() {
    return TensorScope.confined(device);
  }

  /**
   * A tensor of {@code rows} rows with the row shape of {@code like} and undefined contents, valid
   * until the slot is taken again.
   */
  Tensor take(TensorScope scope, Slot slot, Tensor like, long rows) {
    long bytes = Math.multiplyExact(rows, CollectiveCall.rowBytes(like));
    MemorySegment block = blocks[slot.ordinal()];
    if (block == null || block.byteSize() < bytes) {
      device.synchronize(); // enqueued work still uses it, and the allocator may reuse it
      free(slot);
      block = device.allocate(Math.max(64, bytes + bytes / 4));
      blocks[slot.ordinal()] = block;
    }
    long[] shape = like.shape();
    shape[0] = rows;
    return scope.over(block, like.dtype(), shape);
  }

  /** A layout transform. The tensors may belong to another thread that is waiting. */
  void copy(RowBlocks blocks, Tensor from, Tensor to) {
    try (TensorScope scope = scope()) {
      device.copyBlocks(blocks, here(scope, from), here(scope, to));
    }
  }

  private static Tensor here(TensorScope scope, Tensor tensor) {
    return scope.over(tensor.address(), tensor.dtype(), tensor.shape());
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
      device.free(block);
    }
  }
}
