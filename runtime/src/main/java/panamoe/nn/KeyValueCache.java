package panamoe.nn;

import java.util.ArrayList;
import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Keys and values of running sequences, for every attention layer [slots, capacity, G, D]. */
public final class KeyValueCache {
  private final List<Tensor> keys = new ArrayList<>();
  private final List<Tensor> values = new ArrayList<>();
  private final long capacity;

  public KeyValueCache(
      TensorScope scope,
      DType dtype,
      int layers,
      long slots,
      long capacity,
      long heads,
      long headSize) {
    this.capacity = capacity;
    for (int layer = 0; layer < layers; layer++) {
      keys.add(scope.zeros(dtype, slots, capacity, heads, headSize));
      values.add(scope.zeros(dtype, slots, capacity, heads, headSize));
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
