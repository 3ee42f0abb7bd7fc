package panamoe.plan;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.comm.CollectiveCall;
import panamoe.comm.ThreadCommunicator;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/**
 * A simulated GPU: copies advance a rank's virtual clock. Data stays in host memory.
 *
 * @param world communicator of the rank, which has the clock
 * @param scale simulated bytes per byte of a tensor
 */
record SimulatedGpu(Node.Copy copy, ThreadCommunicator world, double scale)
    implements TensorDevice {
  private static final long ALIGNMENT = 64;

  @Override
  public void copyBlocks(RowBlocks blocks, Tensor x, Tensor y) {
    long rowBytes = CollectiveCall.rowBytes(x);
    long rows = 0;
    for (int i = 0; i < blocks.rows().length; i++) {
      long count = blocks.rows()[i];
      MemorySegment.copy(
          x.data(),
          blocks.from()[i] * rowBytes,
          y.data(),
          blocks.to()[i] * rowBytes,
          count * rowBytes);
      rows += count;
    }
    if (rows > 0) {
      world.compute("copy of rows", copy.seconds(scale * rows * rowBytes));
    }
  }

  @Override
  public void synchronize() {}

  @Override
  public MemorySegment allocate(long bytes) {
    return Arena.ofAuto().allocate(Math.max(bytes, 1), ALIGNMENT);
  }

  @Override
  public void free(MemorySegment memory) {}
}
