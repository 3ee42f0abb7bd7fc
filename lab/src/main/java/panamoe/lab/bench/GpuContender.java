package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import panamoe.backend.Backend;

/**
 * Work on a GPU with captured kernels. One half of a burst waits for each call. The other half
 * issues groups of calls between two waits, so that launches overlap with kernels.
 */
final class GpuContender implements Contender {
  private static final double GROUP_MS = 4;

  /** Less than the launches that a stream queues before the host blocks. */
  private static final int MOST_CALLS = 200;

  private final Workload work;
  private final IntConsumer kernels;
  private final Backend backend;
  private final boolean whole;
  private final List<Double> hostMs = new ArrayList<>();
  private int call;

  /**
   * @param work has {@link Workload#kernels} after its first call
   * @param whole true to report times of calls with waits, false to report kernel times
   */
  GpuContender(Workload work, Backend backend, boolean whole) {
    this.work = work;
    this.kernels = work.kernels();
    this.backend = backend;
    this.whole = whole;
  }

  @Override
  public double[] burst(double seconds) {
    double[] calls = times(seconds / 2, true);
    double[] alone = times(seconds / 2, false);
    hostMs.add(Timing.median(calls) - Timing.median(alone));
    return whole ? calls : alone;
  }

  /** The milliseconds of a call beyond its kernels, over all bursts. */
  double hostMs() {
    return Timing.median(hostMs.stream().mapToDouble(ms -> ms).toArray());
  }

  private double[] times(double seconds, boolean waitedFor) {
    long end = System.nanoTime() + (long) (seconds * 1e9);
    double[] times = new double[0];
    int count = 1;
    do {
      double ms = millisecondsOf(count, waitedFor) / count;
      times = with(times, count, ms);
      count = waitedFor ? 1 : (int) Math.clamp(GROUP_MS / ms, 1, MOST_CALLS);
    } while (System.nanoTime() < end);
    return times;
  }

  private double millisecondsOf(int count, boolean waitedFor) {
    long start = System.nanoTime();
    for (int i = 0; i < count; i++) {
      int number = call++ & Integer.MAX_VALUE;
      if (waitedFor) {
        work.run(number);
      } else {
        kernels.accept(number);
      }
    }
    backend.synchronize();
    return (System.nanoTime() - start) / 1e6;
  }

  /** {@code times} followed by {@code count} calls of {@code ms} each. */
  private static double[] with(double[] times, int count, double ms) {
    double[] longer = Arrays.copyOf(times, times.length + count);
    Arrays.fill(longer, times.length, longer.length, ms);
    return longer;
  }
}
