package panamoe.train;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.backend.Backend;
import panamoe.backend.BalanceKernels;
import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.comm.Communicator;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Sums the gates' loads and losses over the micro-batches of a step and over the ranks. */
public final class LoadMeter implements RouteObserver {
  /** What the loads do not depend on: of the sums only the entropy is read. */
  private static final Balance ALL_TOKENS = new Balance(Score.SOFTMAX, 1, false);

  private static final class Sums {
    private long[] counts;
    private long kept;
    private long tokens;
    private double entropy;
    private double auxiliary;
    private double z;

    /** All sums as numbers, to be sent. */
    long[] pack() {
      long[] packed = Arrays.copyOf(counts, counts.length + 5);
      packed[counts.length] = kept;
      packed[counts.length + 1] = tokens;
      packed[counts.length + 2] = Double.doubleToRawLongBits(entropy);
      packed[counts.length + 3] = Double.doubleToRawLongBits(auxiliary);
      packed[counts.length + 4] = Double.doubleToRawLongBits(z);
      return packed;
    }

    /** The sums over all ranks, added in rank order. */
    static Sums over(Communicator ranks, Sums mine) {
      long[] packed = mine.pack();
      long[] all = ranks.allGather(packed);
      Sums sums = new Sums();
      int experts = mine.counts.length;
      sums.counts = new long[experts];
      for (int from = 0; from < all.length; from += packed.length) {
        for (int e = 0; e < experts; e++) {
          sums.counts[e] += all[from + e];
        }
        sums.kept += all[from + experts];
        sums.tokens += all[from + experts + 1];
        sums.entropy += Double.longBitsToDouble(all[from + experts + 2]);
        sums.auxiliary += Double.longBitsToDouble(all[from + experts + 3]);
        sums.z += Double.longBitsToDouble(all[from + experts + 4]);
      }
      return sums;
    }
  }

  /**
   * What a gate told, copied on its device, so that no layer waits for the host to read it: the
   * entropy, both losses, the routes kept and the routes of each expert.
   */
  private record Told(int layer, int experts, long tokens, Tensor all) {
    private static final long LOSSES = Double.BYTES;
    private static final long KEPT = LOSSES + 2 * Float.BYTES;
    private static final long COUNTS = KEPT + Integer.BYTES;

    static Told by(Backend backend, TensorScope scope, int layer, Routes routes) {
      int experts = routes.experts();
      long bytes = COUNTS + (long) experts * Integer.BYTES;
      Told told = new Told(layer, experts, routes.tokens(), scope.allocate(DType.UINT8, bytes));
      told.all.part(LOSSES, DType.FLOAT32, 2).copyFrom(routes.losses());
      told.all.part(KEPT, DType.INT32, 1).copyFrom(routes.offsets().rows(experts, experts + 1L));
      told.all.part(COUNTS, DType.INT32, experts).copyFrom(routes.counts());
      told.sumEntropy(backend, routes);
      return told;
    }

    /** The entropy of the normalised scores, summed over used tokens, in nats. */
    private void sumEntropy(Backend backend, Routes routes) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        BalanceKernels.Sums sums = BalanceKernels.Sums.allocate(scope, 1, experts);
        backend.balanceForward(
            ALL_TOKENS,
            routes.scores(),
            routes.choice(),
            new BalanceKernels.Sums(
                sums.used(), sums.chosen(), sums.scores(), all.part(0, DType.FLOAT64, 1)));
      }
    }

    void addTo(Sums sums) {
      MemorySegment told = HostView.elements(all);
      sums.counts = sums.counts == null ? new long[experts] : sums.counts;
      for (int e = 0; e < experts; e++) {
        sums.counts[e] += told.get(ValueLayout.JAVA_INT, COUNTS + (long) e * Integer.BYTES);
      }
      sums.kept += told.get(ValueLayout.JAVA_INT, KEPT);
      sums.entropy += told.get(ValueLayout.JAVA_DOUBLE, 0);
      sums.auxiliary += told.get(ValueLayout.JAVA_FLOAT, LOSSES) * tokens;
      sums.z += told.get(ValueLayout.JAVA_FLOAT, LOSSES + Float.BYTES) * tokens;
      sums.tokens += tokens;
    }
  }

  private final Backend backend;
  private final List<Told> told = new ArrayList<>();
  private TensorScope scope; // of what was told; null: nothing

  /**
   * @param backend on which the gates run
   */
  public LoadMeter(Backend backend) {
    this.backend = backend;
  }

  @Override
  public void observe(int layer, Routes routes) {
    scope = scope == null ? TensorScope.shared(backend) : scope;
    told.add(Told.by(backend, scope, layer, routes));
  }

  /** Resets the sums. */
  void clear() {
    told.clear();
    if (scope != null) {
      scope.close();
      scope = null;
    }
  }

  /** The loads since the last call, one per MoE layer, summed over {@code ranks}. Collective. */
  public List<LayerLoad> take(Communicator ranks) {
    Map<Integer, Sums> layers = new TreeMap<>();
    told.forEach(each -> each.addTo(layers.computeIfAbsent(each.layer, _ -> new Sums())));
    clear();
    List<LayerLoad> loads = new ArrayList<>();
    layers.forEach(
        (layer, mine) -> {
          Sums sums = Sums.over(ranks, mine);
          long routes = 0;
          for (long count : sums.counts) {
            routes += count;
          }
          loads.add(
              new LayerLoad(
                  layer,
                  sums.counts,
                  routes - sums.kept,
                  sums.entropy / sums.tokens,
                  sums.auxiliary / sums.tokens,
                  sums.z / sums.tokens));
        });
    return loads;
  }
}
