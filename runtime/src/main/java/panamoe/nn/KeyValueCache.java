package panamoe.nn;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.CachePlaces;
import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Heads;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Blocks of keys and values of running sequences, for every attention layer [blocks, blockSize, G,
 * D], and if they are INT8 their scales [blocks, blockSize, G]. A block's number stands for its
 * part of every layer. Layers with a window may have blocks of their own, whose numbers then stand
 * for their parts of these layers.
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
   * @param layers of whose heads this rank holds 1 / {@code ranks}
   * @param blockSize positions of a block
   * @param window layers that read at most {@code window} positions have {@code windowBlocks}
   *     blocks of their own; 0: none has
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
    for (AttentionConfig layer : layers) {
      Heads heads = layer.heads();
      long own = layer.scores().within(window) ? windowBlocks : blocks;
      long held = heads.keyValue() / ranks;
      keys.add(scope.zeros(dtype, own, blockSize, held, heads.size()));
      values.add(scope.zeros(dtype, own, blockSize, held, heads.size()));
      boolean scaled = dtype == DType.INT8;
      keyScales.add(scaled ? scope.zeros(DType.FLOAT32, own, blockSize, held) : null);
      valueScales.add(scaled ? scope.zeros(DType.FLOAT32, own, blockSize, held) : null);
    }
  }

  /** The longest window of layers with blocks of their own; 0: there are none. */
  public int window() {
    return window;
  }

  /** Bytes of a token in a layer, on all ranks together. */
  public static long tokenBytes(DType dtype, Heads heads) {
    long scale = dtype == DType.INT8 ? DType.FLOAT32.bytes() : 0;
    return 2L * heads.keyValue() * (heads.size() * (long) dtype.bytes() + scale);
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
