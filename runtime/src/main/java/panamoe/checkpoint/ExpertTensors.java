package panamoe.checkpoint;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.tensor.Tensor;

/** Experts live stacked in one tensor [E, ...] and are stored one by one. */
public final class ExpertTensors {
  private ExpertTensors() {}

  /**
   * The experts of a stacked tensor as E tensors under their own names. They are views: writing
   * reads the stacked tensor's memory, loading fills it. Views take a little memory of the tensor's
   * scope, so make them once.
   *
   * @param name with one {@code *} where the expert's index belongs: {@code
   *     layers.1.moe.experts.*.up.weight}
   * @param stacked [E, ...] with at least one dimension
   * @param first the index of the first of them in its layer
   */
  public static Map<String, Tensor> slices(String name, Tensor stacked, int first) {
    int star = name.indexOf('*');
    if (star < 0 || stacked.rank() == 0) {
      throw new IllegalArgumentException(
          "'" + name + "' must hold a * and " + stacked + " a dimension of experts");
    }
    long[] shape = stacked.shape();
    long[] single = Arrays.copyOfRange(shape, 1, shape.length);
    Map<String, Tensor> slices = new LinkedHashMap<>();
    for (long expert = 0; expert < shape[0]; expert++) {
      slices.put(
          name.substring(0, star) + (first + expert) + name.substring(star + 1),
          stacked.rows(expert, expert + 1).reshape(single));
    }
    return slices;
  }
}
