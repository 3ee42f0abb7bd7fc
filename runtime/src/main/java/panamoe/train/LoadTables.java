package panamoe.train;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.BalanceKernels;
import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The loads and losses of up to {@link #GATES} gates, written by kernels: one tensor per dtype, so
 * that the host reads three tensors after the step.
 */
final class LoadTables {
  /** Receives a gate's statistics of a batch. */
  interface Reader {
    /**
     * @param counts routes to each expert, before dropping
     * @param kept routes kept
     * @param tokens of the batch
     * @param entropy of the normalised scores, summed over used tokens, in nats
     */
    void read(
        int layer, int[] counts, int kept, long tokens, double entropy, float auxiliary, float z);
  }

  /** For a kernel of which only the entropy is read; the loads do not depend on it. */
  private static final Balance ALL_TOKENS = new Balance(Score.SOFTMAX, 1, false);

  private static final int GATES = 64;

  /** Elements from one table to the next: 64 bytes of the smaller dtypes. */
  private static final int ALIGNED = 16;

  /**
   * Offsets of a gate's values.
   *
   * @param counts of its counts among the routes
   * @param losses of its losses and its entropy
   */
  private record Slot(int counts, int losses, int experts) {
    int offsets() {
      return counts + aligned(experts);
    }
  }

  private record Gate(int layer, long tokens, Slot slot) {}

  private final Tensor routes;
  private final Tensor losses;
  private final Tensor entropies;
  private final List<Gate> gates = new ArrayList<>();
  private Slot slot = new Slot(0, 0, 0);
  private int next;
  private int taken;

  /**
   * @param experts of the first gate; there is room for fewer gates with more experts
   */
  LoadTables(TensorScope scope, int experts) {
    this.routes = scope.allocate(DType.INT32, (long) GATES * elements(experts));
    this.losses = scope.allocate(DType.FLOAT32, (long) GATES * ALIGNED);
    this.entropies = scope.allocate(DType.FLOAT64, (long) GATES * ALIGNED);
  }

  boolean hasRoom(int experts) {
    return taken < GATES && next + elements(experts) <= routes.count();
  }

  /**
   * {@code others} with tables in this memory, for a gate that is then passed to {@link #observe}.
   */
  Routes with(Routes others) {
    slot = new Slot(next, taken++ * ALIGNED, others.experts());
    next += elements(slot.experts);
    return new Routes(
        others.scores(),
        others.expert(),
        others.position(),
        others.weight(),
        others.choice(),
        routes.rows(slot.counts, slot.counts + slot.experts),
        routes.rows(slot.offsets(), slot.offsets() + slot.experts + 1),
        losses.rows(slot.losses, slot.losses + 2));
  }

  /** Keeps the loads of the last gate of {@link #with}. */
  void observe(Backend backend, TensorScope scope, int layer, Routes decided) {
    BalanceKernels.Sums sums = BalanceKernels.Sums.allocate(scope, 1, decided.experts());
    Tensor entropy = entropies.rows(slot.losses, slot.losses + 1);
    backend.balanceForward(
        ALL_TOKENS,
        decided.scores(),
        decided.choice(),
        new BalanceKernels.Sums(sums.used(), sums.chosen(), sums.scores(), entropy));
    sums.used().release();
    sums.chosen().release();
    sums.scores().release();
    gates.add(new Gate(layer, decided.tokens(), slot));
  }

  /** Reads all gates, in the order in which they were observed. */
  void read(Reader reader) {
    int[] ofRoutes = routes.toInts();
    float[] ofLosses = losses.toFloats();
    MemorySegment ofEntropies = HostView.elements(entropies);
    for (Gate gate : gates) {
      Slot at = gate.slot;
      reader.read(
          gate.layer,
          Arrays.copyOfRange(ofRoutes, at.counts, at.counts + at.experts),
          ofRoutes[at.offsets() + at.experts],
          gate.tokens,
          ofEntropies.getAtIndex(ValueLayout.JAVA_DOUBLE, at.losses),
          ofLosses[at.losses],
          ofLosses[at.losses + 1]);
    }
  }

  private static int elements(int experts) {
    return aligned(experts) + aligned(experts + 1);
  }

  private static int aligned(int elements) {
    return Math.ceilDiv(elements, ALIGNED) * ALIGNED;
  }
}
