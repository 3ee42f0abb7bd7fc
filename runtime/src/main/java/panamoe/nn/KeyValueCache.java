package panamoe.nn;

import java.util.ArrayList;
import java.util.List;
import panamoe.config.AttentionConfig.Heads;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Blocks of keys and values of running sequences, for every attention layer [blocks, blockSize, G,
 * D]. A block's number stands for its part of every layer.
 */
public final class KeyValueCache {
  private final List<Tensor> keys = new ArrayList<>();
  private final List<Tensor> values = new ArrayList<>();
  private final long blocks;
  private final long blockSize;

  /**
   * @param layers the heads of each layer, of which this rank holds 1 / {@code ranks}
   * @param blockSize positions of a block
   */
  public KeyValueCache(
      TensorScope scope, DType dtype, List<Heads> layers, int ranks, long blocks, long blockSize) {
    this.blocks = blocks;
    this.blockSize = blockSize;
    for (Heads heads : layers) {
      long held = heads.keyValue() / ranks;
      keys.add(scope.zeros(dtype, blocks, blockSize, held, heads.size()));
      values.add(scope.zeros(dtype, blocks, blockSize, held, heads.size()));
    }
  }

  /** Blocks that the sequences of this cache have among them. */
  public long blocks() {
    return blocks;
  }

  /** Positions of a block. */
  public long blockSize() {
    return blockSize;
  }

  Tensor keys(int layer) {
    return keys.get(layer);
  }

  Tensor values(int layer) {
    return values.get(layer);
  }
}
