package panamoe.harness.bench;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Milliseconds of one call. */
record Timing(double medianMs, double minMs) {
  private static final double BURST_SECONDS = 0.25;
  private static final double WARM_UP_SECONDS = 0.3;
  private static final int LEAST_BURSTS = 3;

  /**
   * Times contenders in turns, burst by burst, so that whatever else the machine does meets all alike.
   *
   * @param seconds of work for each
   * @param realTime whether bursts run at real-time priority, see {@link RealTime}
   * @return one timing for each
   */
  static List<Timing> inTurns(double seconds, boolean realTime, List<Contender> contenders) throws IOException {
    List<List<double[]>> bursts = new ArrayList<>();
    for (Contender contender : contenders) {
      contender.burst(WARM_UP_SECONDS);
      bursts.add(new ArrayList<>());
    }
    int rounds = Math.max(LEAST_BURSTS, (int) Math.ceil(seconds / BURST_SECONDS));
    long end = System.nanoTime() + (long) (3 * seconds * contenders.size() * 1e9);
    for (int round = 0; round < rounds && (round < LEAST_BURSTS || System.nanoTime() < end); round++) {
      for (int i = 0; i < contenders.size(); i++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new InterruptedIOException();
        }
        Contender contender = contenders.get(i);
        bursts
            .get(i)
            .add(realTime ? RealTime.burst(contender, BURST_SECONDS) : contender.burst(BURST_SECONDS));
      }
    }
    return bursts.stream().map(Timing::of).toList();
  }

  static Timing of(List<double[]> bursts) {
    double[] sorted = bursts.stream().flatMapToDouble(Arrays::stream).sorted().toArray();
    return new Timing(sorted[sorted.length / 2], sorted[0]);
  }
}
