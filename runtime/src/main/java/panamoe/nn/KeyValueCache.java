package panamoe.nn;

import java.util.ArrayList;
import java.util.List;
import panamoe.config.AttentionConfig.Heads;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Keys and values of running sequences, for every attention layer [slots, capacity, G, D]. */
public final class KeyValueCache {
  private final List<Tensor> keys = new ArrayList<>();
  private final List<Tensor> values = new ArrayList<>();
  private final long capacity;

  /**
   * @param layers the heads of each layer, of which this rank holds 1 / {@code ranks}
   */
  public KeyValueCache(
      TensorScope scope, DType dtype, List<Heads> layers, int ranks, long slots, long capacity) {
    this.capacity = capacity;
    for (Heads heads : layers) {
      long held = heads.keyValue() / ranks;
      keys.add(scope.zeros(dtype, slots, capacity, held, heads.size()));
      values.add(scope.zeros(dtype, slots, capacity, held, heads.size()));
    }
  }

  /** Positions a slot has room for. */
  public long capacity() {
    return capacity;
  }

  Tensor keys(int layer) {
    return keys.get(layer);
  }

  Tensor values(int layer) {
    return values.get(layer);
  }
}
