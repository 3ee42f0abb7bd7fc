package panamoe.backend.abi;

import panamoe.bindings.Moe;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/** Copies of blocks of rows, by the native library. */
interface NativeExchange extends TensorDevice, NativeLaunch {
  @Override
  default void copyBlocks(RowBlocks blocks, Tensor x, Tensor y) {
    int count = blocks.rows().length;
    for (int first = 0; first == 0 || first < count; first += Moe.MOE_MAX_BLOCKS()) {
      Struct some = Structs.blocks(blocks, first, Math.min(count - first, Moe.MOE_MAX_BLOCKS()));
      launch("moe_block_copy", some, x, y);
    }
  }
}
