package panamoe.op;

/**
 * Experts that rows are sent to instead of the gates' own choice: routes of an earlier forward are
 * replayed. Weights and gradients come from the pass's own logits.
 */
@FunctionalInterface
public interface RouteSource {
  /**
   * @param layer the MoE layer's index in its model, from 0
   * @return [S * K], a row's experts best first; a row that begins with -1 is left to the gate; not
   *     to be changed
   */
  int[] experts(int layer);
}
