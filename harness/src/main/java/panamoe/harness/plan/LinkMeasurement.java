package panamoe.harness.plan;

import java.util.Arrays;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.comm.exchange.Strategy;
import panamoe.plan.Link;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Measures a {@link Link} by an MoE layer's exchange: counts, dispatch and combine. One way takes
 * half of that time. Collective.
 */
final class LinkMeasurement {
  private static final int ROW_BYTES = 1024;
  private static final int FEW = 1; // rows per rank
  private static final long MANY_BYTES = 1 << 20; // of all rows of a rank
  private static final int BATCHES = 7;
  private static final long BATCH_NANOS = 10_000_000;

  private LinkMeasurement() {}

  /**
   * @param group two ranks or more
   * @param between names the links in the constants' source
   */
  static Link of(Communicator group, Backend backend, String between) {
    int peers = group.size() - 1;
    long many = Math.ceilDiv(MANY_BYTES, (long) ROW_BYTES * group.size());
    Communicator alone = group.split(group.rank(), 0, "one of " + group.name());
    double none = oneWay(alone, FEW, backend);
    alone.close();
    double few = oneWay(group, FEW, backend);
    double much = oneWay(group, many, backend);
    return Link.fitted(
        List.of(
            new Link.Timed(0, 0, none),
            new Link.Timed(peers, (double) FEW * peers * ROW_BYTES, few),
            new Link.Timed(peers, (double) many * peers * ROW_BYTES, much)),
        "exchanges "
            + between
            + ", one way: of a rank with itself, of 1 KiB and of 1 MiB per rank");
  }

  /** This rank's median over batches, in seconds. */
  private static double oneWay(Communicator group, long rows, Backend backend) {
    int size = group.size();
    long[] counts = new long[size];
    Arrays.fill(counts, rows);
    double[] seconds = new double[BATCHES];
    try (Exchange exchange = Exchange.of(group, Strategy.FLAT, backend);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor here = scope.zeros(DType.UINT8, size * rows, ROW_BYTES);
      Tensor arrived = scope.zeros(DType.UINT8, size * rows, ROW_BYTES);
      long repeats = 1;
      for (int batch = -2; batch < BATCHES; batch++) {
        group.barrier();
        long start = System.nanoTime();
        for (long i = 0; i < repeats; i++) {
          ExchangePlan plan = exchange.plan(counts, ROW_BYTES);
          plan.forward(here, arrived);
          plan.reverse(arrived, here);
        }
        backend.synchronize();
        long each = Math.max(1, (System.nanoTime() - start) / repeats);
        if (batch >= 0) {
          seconds[batch] = each / 2e9;
        } else {
          repeats = group.allGather(Math.max(1, BATCH_NANOS / each))[0];
        }
      }
    }
    return Probe.median(seconds);
  }
}
