package panamoe.checkpoint;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.tensor.Tensor;

/**
 * Splits expert tensors: they are stacked [E, ...] in memory, and one tensor per expert in files.
 */
public final class ExpertTensors {
  private ExpertTensors() {}

  /**
   * Views of a stacked tensor, one per expert, by their names in a file. Saving reads, and loading
   * fills, the stacked tensor's memory through them. Views use memory of the tensor's scope, so
   * create them once.
   *
   * @param name with one {@code *} for the expert's index: {@code layers.1.moe.experts.*.up.weight}
   * @param stacked [E, ...] with at least one dimension
   * @param first index in its layer of the first expert
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
