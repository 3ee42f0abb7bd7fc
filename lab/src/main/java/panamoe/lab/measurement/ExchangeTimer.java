package panamoe.lab.measurement;

import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Times exchanges in turns. All ranks start a turn at a fixed time of a shared clock, because on a
 * slow network they would leave a barrier as far apart as an exchange takes. So all nodes must be
 * on one machine, like in {@code ci/cluster}.
 */
final class ExchangeTimer {
  private static final int WARM_UP = 2;
  private static final int TURNS = 11;
  // A turn starts this long after the allGather that agrees on it. A rank that is late spoils only
  // that turn, because the best one counts.
  private static final long AHEAD_NANOS = 200_000_000;
  private static final long SPIN_NANOS = 100_000;

  private ExchangeTimer() {}

  /**
   * Times an exchange in which every member of a group sends equally many bytes to each member.
   *
   * @param exchanges of the whole world, or of groups that all ranks are in
   * @param size members of each group
   * @param bytes from each to each
   * @return the best turn's milliseconds of the slowest rank, by exchange
   */
  static double[] best(
      Communicator world, Backend backend, Exchange[] exchanges, int size, int bytes) {
    double[] best = new double[exchanges.length];
    Arrays.fill(best, Double.POSITIVE_INFINITY);
    long[] counts = new long[size];
    Arrays.fill(counts, 1);
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor rows = scope.zeros(DType.UINT8, size, bytes);
      Tensor arrived = scope.zeros(DType.UINT8, size, bytes);
      for (int turn = -WARM_UP; turn < TURNS; turn++) {
        for (int i = 0; i < exchanges.length; i++) {
          ExchangePlan plan = exchanges[i].plan(counts, bytes);
          long start = together(world);
          plan.forward(rows, arrived);
          long longest =
              LongStream.of(world.allGather(System.nanoTime() - start)).max().orElseThrow();
          if (turn >= 0) {
            best[i] = Math.min(best[i], longest / 1e6);
          }
        }
      }
    }
    return best;
  }

  /** Waits for a common start time; returns it. */
  private static long together(Communicator world) {
    long start =
        LongStream.of(world.allGather(System.nanoTime())).max().orElseThrow() + AHEAD_NANOS;
    LockSupport.parkNanos(start - SPIN_NANOS - System.nanoTime());
    while (System.nanoTime() < start) {
      Thread.onSpinWait();
    }
    return start;
  }
}
