package panamoe.train;

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

  private final Backend backend;
  private final Map<Integer, Sums> layers = new TreeMap<>();

  /**
   * @param backend on which the gates run
   */
  public LoadMeter(Backend backend) {
    this.backend = backend;
  }

  @Override
  public void observe(int layer, Routes routes) {
    Sums sums = layers.computeIfAbsent(layer, _ -> new Sums());
    if (sums.counts == null) {
      sums.counts = new long[routes.experts()];
    }
    for (int e = 0; e < routes.experts(); e++) {
      sums.counts[e] += routes.counts().getInt(e);
    }
    long tokens = routes.tokens();
    sums.kept += routes.offsets().getInt(routes.experts());
    sums.entropy += entropy(routes);
    sums.auxiliary += routes.losses().getFloat(0) * tokens;
    sums.z += routes.losses().getFloat(1) * tokens;
    sums.tokens += tokens;
  }

  /** Resets the sums. */
  void clear() {
    layers.clear();
  }

  /** The loads since the last call, one per MoE layer, summed over {@code ranks}. Collective. */
  public List<LayerLoad> take(Communicator ranks) {
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
    clear();
    return loads;
  }

  /** The entropy of the normalised scores, summed over used tokens, in nats. */
  private double entropy(Routes routes) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      BalanceKernels.Sums sums =
          BalanceKernels.Sums.allocate(scope, 1, routes.experts()).withEntropy(scope);
      backend.balanceForward(ALL_TOKENS, routes.scores(), routes.choice(), sums);
      return sums.entropy().getDouble(0);
    }
  }
}
