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
 * Times exchanges in turns. All ranks of a turn start at one time of the clock that they share, not
 * at a barrier, which they would leave one after the other, on a slow network as far apart as an
 * exchange takes. So all nodes must be on one machine, as in {@code ci/cluster}.
 */
final class ExchangeTimer {
  private static final int WARM_UP = 2;
  private static final int TURNS = 11;
  // Ranks start a turn together this long after they agree on it by an allGather. A rank that hears
  // of it too late spoils that turn alone: the best one counts.
  private static final long AHEAD_NANOS = 200_000_000;
  private static final long SPIN_NANOS = 100_000;

  private ExchangeTimer() {}

  /**
   * Every member of a group sends as many bytes to each of it.
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

  /** Waits for a time that is the same on all ranks; returns it. */
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
