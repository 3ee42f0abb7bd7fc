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
  private final TensorScope lasting; // of all buffers, which are then taken once; or null
  private final MemorySegment[] blocks = new MemorySegment[Slot.values().length];

  Workspace(TensorDevice device) {
    this(device, null);
  }

  private Workspace(TensorDevice device, TensorScope lasting) {
    this.device = device;
    this.lasting = lasting;
  }

  /** A workspace for calls that are captured: its buffers live as long as a scope. */
  Workspace lasting(TensorScope scope) {
    return new Workspace(device, scope);
  }

  /** The scope of the tensors that one call takes from this workspace; null if they last. */
  TensorScope scope() {
    return lasting == null ? TensorScope.confined(device) : null;
  }

  /**
   * A tensor of {@code rows} rows with the row shape of {@code like} and undefined contents, valid
   * until the slot is taken again.
   */
  Tensor take(TensorScope scope, Slot slot, Tensor like, long rows) {
    long[] shape = like.shape();
    shape[0] = rows;
    if (lasting != null) {
      return lasting.allocate(like.dtype(), shape);
    }
    long bytes = Math.multiplyExact(rows, CollectiveCall.rowBytes(like));
    MemorySegment block = blocks[slot.ordinal()];
    if (block == null || block.byteSize() < bytes) {
      device.synchronize(); // enqueued work still uses it, and the allocator may reuse it
      free(slot);
      block = device.allocate(Math.max(64, bytes + bytes / 4));
      blocks[slot.ordinal()] = block;
    }
    return scope.over(block, like.dtype(), shape);
  }

  /** A layout transform. The tensors may belong to another thread that is waiting. */
  void copy(RowBlocks blocks, Tensor from, Tensor to) {
    try (TensorScope scope = scope()) {
      device.copyBlocks(blocks, here(scope, from), here(scope, to));
    }
  }

  private static Tensor here(TensorScope scope, Tensor tensor) {
    return scope == null ? tensor : scope.over(tensor.address(), tensor.dtype(), tensor.shape());
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
