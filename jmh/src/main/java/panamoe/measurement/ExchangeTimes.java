package panamoe.measurement;

import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.comm.exchange.Strategy;
import panamoe.comm.mpi.MpiWorld;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Times flat and hierarchical exchanges alternately, on ranks that mpirun started on several nodes;
 * {@code jmh/slowed} runs it. Arguments: message sizes in bytes, for each pair of ranks. Rank 0
 * prints a table of medians.
 */
public final class ExchangeTimes {
  private static final int WARM_UP = 5;
  private static final int TURNS = 25;

  private ExchangeTimes() {}

  public static void main(String[] args) {
    try (Communicator world = MpiWorld.open(Duration.ofSeconds(30));
        Backend backend = Backends.open("cpu", 1);
        Exchange flat = Exchange.of(world, Strategy.FLAT, backend);
        Exchange hierarchical = Exchange.of(world, Strategy.HIERARCHICAL, backend)) {
      say(
          world,
          String.format(
              Locale.ROOT,
              "| bytes from each rank to each of %d | flat, ms | hierarchical, ms | flat / hierarchical |",
              world.size()));
      say(world, "|---:|---:|---:|---:|");
      for (String bytes : args) {
        double[][] times =
            time(world, backend, new Exchange[] {flat, hierarchical}, Integer.parseInt(bytes));
        say(
            world,
            String.format(
                Locale.ROOT,
                "| %s | %.2f | %.2f | %.2f |",
                bytes,
                median(times[0]),
                median(times[1]),
                median(times[0]) / median(times[1])));
      }
    }
    System.exit(0);
  }

  /** Milliseconds of each repetition, by exchange. */
  private static double[][] time(
      Communicator world, Backend backend, Exchange[] exchanges, int bytes) {
    double[][] times = new double[exchanges.length][TURNS];
    long[] counts = new long[world.size()];
    Arrays.fill(counts, 1);
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor rows = scope.zeros(DType.UINT8, world.size(), bytes);
      Tensor arrived = scope.zeros(DType.UINT8, world.size(), bytes);
      for (int turn = -WARM_UP; turn < TURNS; turn++) {
        for (int i = 0; i < exchanges.length; i++) {
          ExchangePlan plan = exchanges[i].plan(counts, bytes);
          world.barrier();
          long start = System.nanoTime();
          plan.forward(rows, arrived);
          // Ranks leave the barrier one after the other, so the slowest rank's time counts.
          long longest =
              LongStream.of(world.allGather(System.nanoTime() - start)).max().orElseThrow();
          if (turn >= 0) {
            times[i][turn] = longest / 1e6;
          }
        }
      }
    }
    return times;
  }

  static double median(double[] times) {
    return Arrays.stream(times).sorted().skip(times.length / 2).findFirst().orElseThrow();
  }

  static void say(Communicator world, String line) {
    if (world.rank() == 0) {
      System.out.println(line);
    }
  }
}
