package panamoe.lab.bench;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import panamoe.harness.probe.Ceilings;
import panamoe.harness.probe.Roofline;

/** The times of one contender, burst by burst. */
public record Timing(List<Burst> bursts) {
  private static final double BURST_SECONDS = 0.25;
  private static final double WARM_UP_SECONDS = 0.3;
  private static final int LEAST_BURSTS = 3;

  /**
   * Consecutive calls.
   *
   * @param ms milliseconds of each call
   * @param ceilings the higher of those before and after the burst; null if unknown
   */
  record Burst(double[] ms, Ceilings ceilings) {}

  /**
   * Times contenders in alternating bursts, so that other load affects all equally. Ceilings are
   * measured around the bursts of the first contender.
   *
   * @param seconds of work per contender, in bursts of at most a quarter of a second. Stops early
   *     when three times as long has passed, but not before three bursts
   * @param realTime whether bursts run at real-time priority, see {@link RealTimePriority}
   * @return one timing per contender
   */
  static List<Timing> inTurns(
      double seconds, boolean realTime, List<Contender> contenders, Roofline yardstick)
      throws IOException {
    double burst = Math.min(BURST_SECONDS, seconds);
    List<Timing> timings = new ArrayList<>();
    for (Contender contender : contenders) {
      stopIfInterrupted();
      contender.burst(Math.min(WARM_UP_SECONDS, seconds));
      timings.add(new Timing(new ArrayList<>()));
    }
    long end = System.nanoTime() + (long) (3 * seconds * contenders.size() * 1e9);
    for (int round = 0;
        round < LEAST_BURSTS || leastSeconds(timings) < seconds && System.nanoTime() < end;
        round++) {
      for (int i = 0; i < contenders.size(); i++) {
        stopIfInterrupted();
        Contender contender = contenders.get(i);
        Ceilings before = i == 0 ? yardstick.now() : null;
        double[] ms = realTime ? RealTimePriority.burst(contender, burst) : contender.burst(burst);
        Ceilings ceilings = before == null ? null : before.higher(yardstick.now());
        timings.get(i).bursts.add(new Burst(ms, ceilings));
      }
    }
    return timings;
  }

  /** Throws if the thread is interrupted; called before each operation of seconds. */
  static void stopIfInterrupted() throws InterruptedIOException {
    if (Thread.currentThread().isInterrupted()) {
      throw new InterruptedIOException();
    }
  }

  private static double leastSeconds(List<Timing> timings) {
    return timings.stream().mapToDouble(timing -> timing.ms().sum() / 1000).min().orElseThrow();
  }

  /** The median of all calls. */
  double medianMs() {
    return median(ms().toArray());
  }

  /** The shortest call. */
  double minMs() {
    return ms().min().orElseThrow();
  }

  private DoubleStream ms() {
    return bursts.stream().flatMapToDouble(burst -> Arrays.stream(burst.ms));
  }

  /** The median over bursts of {@code limitMs}, evaluated for each burst's ceilings. */
  double limitMs(ToDoubleFunction<Ceilings> limitMs) {
    return median(
        bursts.stream().mapToDouble(burst -> limitMs.applyAsDouble(burst.ceilings)).toArray());
  }

  /** The median over bursts of {@code limitMs} / the burst's median call. */
  double rooflineFraction(ToDoubleFunction<Ceilings> limitMs) {
    return median(
        bursts.stream()
            .mapToDouble(burst -> limitMs.applyAsDouble(burst.ceilings) / median(burst.ms))
            .toArray());
  }

  /** The middle one of these values. */
  public static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
