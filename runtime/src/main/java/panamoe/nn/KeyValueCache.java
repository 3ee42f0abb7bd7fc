package panamoe.nn;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.CachePlaces;
import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.CacheRow;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Blocks of keys and values of running sequences: for every attention layer [blocks, blockSize, G,
 * D], and for INT8 scales [blocks, blockSize, G]. Where one row is key and value, both are one
 * tensor. A block number is valid in all layers; layers with a window may have a block pool of
 * their own.
 */
public final class KeyValueCache {
  private final List<Tensor> keys = new ArrayList<>();
  private final List<Tensor> values = new ArrayList<>();
  private final List<Tensor> keyScales = new ArrayList<>();
  private final List<Tensor> valueScales = new ArrayList<>();
  private final List<AttentionConfig> layers;
  private final int window;

  /**
   * @param dtype of activations, or INT8
   * @param layers whose heads {@code ranks} tensor ranks share
   * @param blockSize positions of a block
   * @param window layers that read at most {@code window} positions have {@code windowBlocks}
   *     blocks of their own; 0: no layer has
   */
  public KeyValueCache(
      TensorScope scope,
      DType dtype,
      List<AttentionConfig> layers,
      int ranks,
      long blocks,
      long blockSize,
      int window,
      long windowBlocks) {
    this.layers = layers;
    this.window = window;
    boolean scaled = dtype == DType.INT8;
    for (AttentionConfig layer : layers) {
      CacheRow row = layer.cacheRow(ranks);
      long own = layer.scores().within(window) ? windowBlocks : blocks;
      Tensor key = scope.zeros(dtype, own, blockSize, row.heads(), row.size());
      Tensor scale = scaled ? scope.zeros(DType.FLOAT32, own, blockSize, row.heads()) : null;
      keys.add(key);
      keyScales.add(scale);
      values.add(row.once() ? key : scope.zeros(dtype, key.shape()));
      valueScales.add(row.once() || !scaled ? scale : scope.zeros(DType.FLOAT32, scale.shape()));
    }
  }

  /** The longest window of layers with blocks of their own; 0 without such layers. */
  public int window() {
    return window;
  }

  CachePlaces places(int layer, Tensor table, Tensor slots, Tensor positions) {
    return new CachePlaces(
        keys.get(layer),
        values.get(layer),
        keyScales.get(layer),
        valueScales.get(layer),
        window == 0 ? table : half(table, layers.get(layer).scores().within(window)),
        slots,
        positions);
  }

  private static Tensor half(Tensor table, boolean second) {
    long slots = table.size(0) / 2;
    return second ? table.rows(slots, 2 * slots) : table.rows(0, slots);
  }
}
