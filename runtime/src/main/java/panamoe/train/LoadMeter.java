package panamoe.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.backend.Backend;
import panamoe.backend.Routes;
import panamoe.comm.Communicator;
import panamoe.op.RouteObserver;
import panamoe.tensor.TensorScope;

/**
 * Sums the gates' loads and losses over the micro-batches of a step and over the ranks. Gates write
 * to the meter's memory, which the host reads after the step, so that no forward waits.
 */
public final class LoadMeter implements RouteObserver {
  private static final class Sums {
    private final long[] counts;
    private long kept;
    private long tokens;
    private double entropy;
    private double auxiliary;
    private double z;

    Sums(int experts) {
      this.counts = new long[experts];
    }

    /** All sums as numbers, for a collective. */
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
      int experts = mine.counts.length;
      Sums sums = new Sums(experts);
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
  private final List<LoadTables> tables = new ArrayList<>();
  private TensorScope scope;

  /**
   * @param backend on which the gates run
   */
  public LoadMeter(Backend backend) {
    this.backend = backend;
  }

  @Override
  public Routes tables(TensorScope others, long tokens, int experts, int topK) {
    if (scope == null) {
      scope = TensorScope.confined(backend);
    }
    if (tables.isEmpty() || !tables.getLast().hasRoom(experts)) {
      tables.add(new LoadTables(scope, experts));
    }
    return tables.getLast().with(Routes.allocate(others, tokens, experts, topK));
  }

  /** Adds the routes of the last {@link #tables}. */
  @Override
  public void observe(int layer, Routes routes) {
    tables.getLast().observe(backend, scope, layer, routes);
  }

  void clear() {
    tables.clear();
    if (scope != null) {
      scope.close();
      scope = null;
    }
  }

  private Map<Integer, Sums> sums() {
    Map<Integer, Sums> layers = new TreeMap<>();
    LoadTables.Reader reader =
        (layer, counts, kept, tokens, entropy, auxiliary, z) -> {
          Sums sums = layers.computeIfAbsent(layer, _ -> new Sums(counts.length));
          for (int e = 0; e < counts.length; e++) {
            sums.counts[e] += counts[e];
          }
          sums.kept += kept;
          sums.tokens += tokens;
          sums.entropy += entropy;
          sums.auxiliary += auxiliary * tokens;
          sums.z += z * tokens;
        };
    tables.forEach(each -> each.read(reader));
    return layers;
  }

  /** The loads since the last call, one per MoE layer, summed over {@code ranks}. Collective. */
  public List<LayerLoad> take(Communicator ranks) {
    List<LayerLoad> loads = new ArrayList<>();
    sums()
        .forEach(
            (layer, mine) -> {
              Sums sums = Sums.over(ranks, mine);
              loads.add(
                  new LayerLoad(
                      layer,
                      sums.counts,
                      Arrays.stream(sums.counts).sum() - sums.kept,
                      sums.entropy / sums.tokens,
                      sums.auxiliary / sums.tokens,
                      sums.z / sums.tokens));
            });
    clear();
    return loads;
  }
}
