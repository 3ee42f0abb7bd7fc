package panamoe.op;

import java.util.Arrays;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Which of a model's adapters each row of a pass has: rows of one adapter are neighbours.
 *
 * @param starts the first row of each adapter and the number of rows; not to be changed. Rows of
 *     the first have no adapter
 * @param offsets the same, INT32 [n + 1], which kernels read
 */
public record AdapterRows(int[] starts, Tensor offsets) {
  /** n. */
  public int count() {
    return starts.length - 1;
  }

  /**
   * The bounds of groups of rows by expert and then adapter: rows of one expert are in the order of
   * tokens, as long as none is dropped. The host counts them, so that no graph can hold this.
   *
   * @param routes of this pass's rows
   * @return INT32 [E * n + 1]
   */
  public Tensor byExpert(Pass pass, Routes routes) {
    int[] expert = routes.expert().toInts();
    int topK = routes.topK();
    int[] bounds = new int[routes.experts() * count() + 1];
    for (int adapter = 0; adapter < count(); adapter++) {
      for (int i = starts[adapter] * topK; i < starts[adapter + 1] * topK; i++) {
        if (expert[i] >= 0) {
          bounds[expert[i] * count() + adapter + 1]++;
        }
      }
    }
    Arrays.parallelPrefix(bounds, Integer::sum);
    return pass.allocate(DType.INT32, bounds.length).set(bounds);
  }
}
