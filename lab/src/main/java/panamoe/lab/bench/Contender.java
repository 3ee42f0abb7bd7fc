package panamoe.lab.bench;

import java.io.IOException;
import java.util.Arrays;
import java.util.function.IntConsumer;

/** A measured implementation of the work: ours, or a peer. */
public interface Contender {
  /**
   * Repeats the work for about {@code seconds}, at least once; returns the milliseconds of each
   * call.
   */
  double[] burst(double seconds) throws IOException;

  /** The id of the process that does the work. */
  default long process() {
    return ProcessHandle.current().pid();
  }

  /** Runs {@code work} in this process, with call numbers from 0. */
  static Contender of(IntConsumer work) {
    return new Contender() {
      private int call;

      @Override
      public double[] burst(double seconds) {
        long start = System.nanoTime();
        long end = start + (long) (seconds * 1e9);
        double[] times = new double[64];
        int count = 0;
        do {
          work.accept(call++ & Integer.MAX_VALUE);
          long now = System.nanoTime();
          if (count == times.length) {
            times = Arrays.copyOf(times, 2 * count);
          }
          times[count++] = (now - start) / 1e6;
          start = now;
        } while (start < end);
        return Arrays.copyOf(times, count);
      }
    };
  }
}
