package panamoe.nn;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.CachePlaces;
import panamoe.config.AttentionConfig.Heads;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Blocks of keys and values of running sequences, for every attention layer [blocks, blockSize, G,
 * D], and if they are INT8 their scales [blocks, blockSize, G]. A block's number stands for its
 * part of every layer.
 */
public final class KeyValueCache {
  private final List<Tensor> keys = new ArrayList<>();
  private final List<Tensor> values = new ArrayList<>();
  private final List<Tensor> keyScales = new ArrayList<>();
  private final List<Tensor> valueScales = new ArrayList<>();
  private final long blocks;
  private final long blockSize;

  /**
   * @param dtype of activations, or INT8
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
      boolean scaled = dtype == DType.INT8;
      keyScales.add(scaled ? scope.zeros(DType.FLOAT32, blocks, blockSize, held) : null);
      valueScales.add(scaled ? scope.zeros(DType.FLOAT32, blocks, blockSize, held) : null);
    }
  }

  /** Bytes of a token in a layer, on all ranks together. */
  public static long tokenBytes(DType dtype, Heads heads) {
    long scale = dtype == DType.INT8 ? DType.FLOAT32.bytes() : 0;
    return 2L * heads.keyValue() * (heads.size() * (long) dtype.bytes() + scale);
  }

  /** Blocks that the sequences of this cache have among them. */
  public long blocks() {
    return blocks;
  }

  /** Positions of a block. */
  public long blockSize() {
    return blockSize;
  }

  CachePlaces places(int layer, Tensor table, Tensor slots, Tensor positions) {
    return new CachePlaces(
        keys.get(layer),
        values.get(layer),
        keyScales.get(layer),
        valueScales.get(layer),
        table,
        slots,
        positions);
  }
}
